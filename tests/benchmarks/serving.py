"""What a request to POST /v1/screen costs, beside an application that only echoes: `python -m tests.benchmarks.serving [--seconds N]`.

One API process without workers on an SQLite file, wrk with 16 connections on the same cores. Requests a second depend on what else
runs on the machine; the processor time of the server for each request hardly does. Twenty-turn conversations from the sample archive's turns.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from tests.benchmarks.storing import conversations
from tests.conftest import SECRET

CONNECTIONS = 16
BODIES = 64
ECHO = """
import sys, uvicorn
from fastapi import FastAPI, Request, Response
app = FastAPI()
@app.post("/v1/screen")
async def echo(request: Request) -> Response:
    return Response(await request.body(), media_type="application/json")
@app.get("/readyz")
async def ready() -> str:
    return "ok"
uvicorn.run(app, port=int(sys.argv[1]), access_log=False, log_level="error")
"""
TICKS = os.sysconf("SC_CLK_TCK")


class Load(NamedTuple):
    """Requests a second, milliseconds of the server's processor time for each, answers other than 2xx, megabytes it holds then."""

    rate: float
    cpu: float
    failed: int
    memory: float


@contextmanager
def server(command: list[str], port: int, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A server process that is ready."""
    own = {name: value for name, value in os.environ.items() if name != "SCREENING_CLASSIFIER"}  # the tests' package sets it
    process = subprocess.Popen(command, env=own | environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 180
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10):
                    break
            except OSError:
                if process.poll() is not None or time.monotonic() > until:
                    raise
                time.sleep(0.2)
        yield process
    finally:
        process.terminate()
        process.wait()


def spent(process: subprocess.Popen[bytes]) -> float:
    """Seconds of processor time so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident(process: subprocess.Popen[bytes]) -> float:
    """Megabytes that the process holds."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def load(process: subprocess.Popen[bytes], port: int, script: Path, seconds: float) -> Load:
    """wrk's closed loop over the bodies."""
    before = spent(process)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", f"-s{script}", f"http://127.0.0.1:{port}/v1/screen"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    done = re.search(r"(\d+) requests in ([\d.]+)(s|m)", said)
    assert done is not None, said
    count, wall = int(done[1]), float(done[2]) * (60 if done[3] == "m" else 1)
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    return Load(count / wall, (spent(process) - before) / count * 1000, int(wrong[1]) if wrong else 0, resident(process))


def script(folder: Path, token: str) -> Path:
    """The requests, as wrk takes them."""
    bodies = [msgspec.json.encode(one).decode() for one in conversations(BODIES)]
    listed = ",\n".join(f"[==[{body}]==]" for body in bodies)
    path = folder / "requests.lua"
    path.write_text(
        f"""local bodies = {{{listed}}}
local n = 0
wrk.method = "POST"
wrk.headers["Authorization"] = "Bearer {token}"
function request()
  n = n % #bodies + 1
  return wrk.format(nil, nil, nil, bodies[n])
end
""",
        encoding="utf-8",
    )
    return path


def main() -> None:
    """Measure the echo, the rules and rules with the classifier, in turn."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--port", type=int, default=18700)
    parser.add_argument("--only", choices=["echo", "none", "packaged"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            "SCREENING_SECRET": SECRET,
            "SCREENING_DATABASE": f"sqlite:///{folder}/service.db",
            "SCREENING_WORKERS": "0",
            "SCREENING_RATE_PER_MINUTE": "100000000",
            "SCREENING_LOG_LEVEL": "info",
        }
        cli = [sys.executable, "-m", "api.cli"]
        subprocess.run([*cli, "db", "upgrade"], check=True, env=os.environ | environment, capture_output=True)
        made = subprocess.run(
            [*cli, "key", "create", "load", "--scope", "screen"],
            check=True,
            env=os.environ | environment,
            capture_output=True,
            text=True,
        )
        requests = script(Path(folder), made.stdout.split()[-1])
        port = str(given.port)
        commands = {
            "echo": ([sys.executable, "-c", ECHO, port], {}),
            "none": ([*cli, "serve", "--port", port], {"SCREENING_CLASSIFIER": "none"}),
            "packaged": ([*cli, "serve", "--port", port], {}),
        }
        for _ in range(given.rounds):
            for name, (command, more) in commands.items():
                if given.only not in (None, name):
                    continue
                with server(command, given.port, environment | more) as process:
                    first = load(process, given.port, requests, 2)
                    found = load(process, given.port, requests, given.seconds)
                print(
                    f"{name:9} {found.rate:7.1f} requests/s  {found.cpu:6.2f} ms CPU each  {found.failed} failed"
                    f"  {first.memory:.0f} MB, then {found.memory:.0f} MB",
                    flush=True,
                )


if __name__ == "__main__":
    main()
