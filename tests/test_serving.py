"""The service as it is started: real processes, real sockets."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli import app
from api.openapi import CONVERSATION
from tests.conftest import SECRET

pytestmark = pytest.mark.slow


class Running:
    """`screening serve` with these arguments; `lines` is what it printed until it listened."""

    def __init__(self, *arguments: str, environment: Mapping[str, str] | None = None):
        command = [sys.executable, "-m", "api.cli", "serve", "--port", "0", *arguments]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "SCREENING_WORKERS": "0", **(environment or {})},
        )
        self.lines: list[str] = []
        watch = threading.Timer(60, self.process.kill)
        watch.start()
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if "http://" in line and not line.startswith("{"):
                break
        watch.cancel()
        found = re.search(r"http://[\d.]+:\d+", self.lines[-1] if self.lines else "")
        assert found, "\n".join(self.lines)
        self.address = found[0]

    def ask(self, path: str, body: object = None, token: str | None = None, method: str | None = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, headers | {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def rest(self, count: int) -> list[str]:
        assert self.process.stdout is not None
        return [self.process.stdout.readline().rstrip("\n") for _ in range(count)]

    def stop(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=40)
        return self.process.returncode, out


@pytest.fixture(scope="module")
def demo() -> Iterator[Running]:
    running = Running("--demo")
    running.lines += running.rest(5)
    yield running
    running.stop()


def test_the_demo_prints_a_login_that_works(demo: Running) -> None:
    text = "\n".join(demo.lines)
    assert "96 sample conversations" in text
    found = re.search(r"login +(demo-reviewer) +(\S+)", text)
    assert found
    status, session = demo.ask("/v1/login", {"name": found[1], "password": found[2]})
    assert (status, session["role"]) == (200, "reviewer")
    status, view = demo.ask("/v1/conversations/c-20260302-01", token=session["token"])
    assert (status, view["texts"], view["revision"]) == (200, "raw", 1)
    assert demo.ask("/readyz")[1]["ready"] is True


def test_the_demos_key_screens(demo: Running) -> None:
    found = re.search(r"API key +(sk_\S+)", "\n".join(demo.lines))
    assert found
    status, screening = demo.ask("/v1/screen", CONVERSATION, token=found[1])
    assert (status, screening["level"]) == (200, "A")


def test_from_an_empty_folder_to_a_kept_conversation(tmp_path: Path) -> None:
    environment = {"SCREENING_SECRET": SECRET, "SCREENING_DATABASE": f"sqlite:///{tmp_path / 'service.db'}"}
    running = Running(environment=environment)
    try:
        status, readiness = running.ask("/readyz")
        assert status == 503
        assert any("screening db upgrade" in problem for problem in readiness["problems"])
        cli = CliRunner(env=environment)
        assert cli.invoke(app, ["db", "upgrade"]).exit_code == 0
        made = cli.invoke(app, ["key", "create", "import", "--scope", "ingest", "--scope", "screen"])
        assert made.exit_code == 0, made.output
        status, kept = running.ask("/v1/conversations", CONVERSATION, token=made.stdout.strip())
        assert (status, kept["outcome"]) == (201, "created")
        assert running.ask("/readyz")[0] == 200
        slow = threading.Thread(target=lambda: answers.append(running.ask("/v1/screen/batch", batch, token=made.stdout.strip())))
        answers: list[tuple[int, Any]] = []
        batch = [CONVERSATION | {"id": f"b-{i}", "turns": CONVERSATION["turns"] * 10} for i in range(400)]
        slow.start()
        while running.ask("/healthz")[0] != 200 or b"screening_queue_turns 0.0" in metrics(running):
            assert slow.is_alive(), "the batch was over before it could be interrupted"
        code, output = running.stop()
        slow.join(40)
        assert code in (0, -signal.SIGTERM)
        assert answers
        assert answers[0][0] == 200  # what was under way is answered
        assert len(answers[0][1]["results"]) == 400
        assert "加我微信" not in output
    finally:
        if running.process.poll() is None:
            running.stop()


def metrics(running: Running) -> bytes:
    with urllib.request.urlopen(running.address + "/metrics", timeout=30) as answer:
        return bytes(answer.read())
