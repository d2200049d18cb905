"""docs/api.md holds: every curl example is run against the real application, every setting and code is named."""

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn
from fastapi.testclient import TestClient

from api.settings import Settings

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
Headers = Callable[..., dict[str, str]]


def examples() -> list[tuple[str, int, str]]:
    """(command, expected status, text that the answer holds) in the document's order."""
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    found = []
    for block in BLOCK.findall(text):
        command: list[str] = []
        for line in block.splitlines():
            if line.startswith("# "):
                status, _, holds = line[2:].partition(" ")
                found.append(("\n".join(command), int(status), holds))
                command = []
            else:
                command.append(line)
        assert not command, f"no expected answer under: {command}"
    return found


@pytest.fixture
def address(client: TestClient) -> Iterator[str]:
    """The application of the other tests, on a real socket."""
    server = uvicorn.Server(uvicorn.Config(client.app, port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    until = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < until
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.slow
def test_every_curl_example_answers_as_shown(address: str, as_key: Headers, as_user: Headers) -> None:
    key = as_key("screen", "ingest", "read", "raw", "jobs", "export")["Authorization"].removeprefix("Bearer ")
    admin = as_user("admin")["Authorization"].removeprefix("Bearer ")
    lead = as_user("lead", name="lead-1")["Authorization"].removeprefix("Bearer ")
    environment = {"URL": address, "KEY": key, "ADMIN": admin, "LEAD": lead, "PATH": "/usr/bin:/bin:/usr/local/bin"}
    shown = examples()
    assert len(shown) >= 50
    for command, status, holds in shown:
        script = command.replace("curl -s", "curl -s -w '\\n%{http_code}'", 1)
        done = subprocess.run(["bash", "-c", script], check=True, env=environment, capture_output=True, text=True, timeout=30)
        body, _, code = done.stdout.rpartition("\n")
        assert (code, holds in body) == (str(status), True), f"{command}\n{done.stdout}{done.stderr}"


def test_every_setting_is_explained() -> None:
    text = (DOCS / "service.md").read_text(encoding="utf-8")
    assert not [name for name in Settings.model_fields if f"`{name}`" not in text]


def test_every_error_code_is_listed() -> None:
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    source = "".join(path.read_text(encoding="utf-8") for path in (DOCS.parent / "api").rglob("*.py"))
    codes = set(re.findall(r"""(?:ApiError\(\s*\d{3},|conflict\()\s*"([a-z_]+)\"""", source))
    assert {"not_ready", "id_taken"} <= codes
    assert sorted(code for code in codes if f"`{code}`" not in text and code != "internal") == []
