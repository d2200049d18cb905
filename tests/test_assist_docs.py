"""docs/assist.md holds: every curl example is run against the real application, every field is explained."""

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn
from fastapi.testclient import TestClient

from api.assist.verdict import Verdict
from tests.test_api_docs import BLOCK

TEXT = (Path(__file__).parents[1] / "docs" / "assist.md").read_text(encoding="utf-8")
Headers = Callable[..., dict[str, str]]


@pytest.fixture
def address(client: TestClient) -> Iterator[str]:
    """The application of the other tests, on a real socket."""
    server = uvicorn.Server(uvicorn.Config(client.app, port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    until = time.monotonic() + 60
    while not server.started:
        assert time.monotonic() < until
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_every_curl_example_answers_as_shown(address: str, client: TestClient, as_key: Headers, as_user: Headers) -> None:
    key = as_key("screen")
    for text in (
        "加我微信",
        "你自己不会看吗",
    ):  # patterns are compiled at first need: the deadline of the examples is the real one
        draft = {"conversation": {"id": "c", "turns": []}, "draft": text, "deadline_ms": 60_000}
        assert client.post("/v1/assist/check", json=draft, headers=key).status_code == 200
    tokens = {"KEY": key, "LEAD": as_user("lead")}
    environment = {"URL": address, "PATH": "/usr/bin:/bin:/usr/local/bin"}
    environment |= {name: headers["Authorization"].removeprefix("Bearer ") for name, headers in tokens.items()}
    shown = 0
    for block in BLOCK.findall(TEXT):
        command: list[str] = []
        for line in block.splitlines():
            if not line.startswith("# "):
                command.append(line)
                continue
            status, _, holds = line[2:].partition(" ")
            script = "\n".join(command).replace("curl -s", "curl -s -w '\\n%{http_code}'", 1)
            done = subprocess.run(["bash", "-c", script], check=True, env=environment, capture_output=True, text=True, timeout=60)
            body, _, code = done.stdout.rpartition("\n")
            assert (code, holds in body) == (status, True), f"{script}\n{done.stdout}{done.stderr}"
            command, shown = [], shown + 1
        assert not command, f"no expected answer under: {command}"
    assert shown >= 7


def test_every_field_of_a_verdict_is_explained() -> None:
    assert [name for name in Verdict.__struct_fields__ if f"`{name}`" not in TEXT] == []
