"""How fast drafts are judged: `python -m tests.benchmarks.assist [--seconds N] [--classifier none] [--rate N]`.

One uvicorn worker serves `POST /v1/assist/check`, another an echo of the same framework. Closed loop by wrk with 8 connections;
open loop by a client here that sends on a fixed schedule, whatever the answers do. Drafts of about 30 characters with four turns
before them, 3 % of them bad; no request is like another.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import re
import resource
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response

from api import access
from api.app import create_app
from api.clock import system_clock
from api.settings import Settings
from api.store import migrations
from api.store.engine import Store
from screening.pipeline import Screener
from screening.readers.jsonl import read
from screening.samples import ARCHIVE
from screening.types import Conversation
from tests.conftest import SECRET

BAD = 0.03
REQUESTS = 4000
CONNECTIONS = 8
_LUA = """
local bodies, at = {}, 0
for line in io.lines("%s") do bodies[#bodies + 1] = line end
local headers = { ["Content-Type"] = "application/json", ["Authorization"] = "Bearer %s" }
request = function() at = at %% #bodies + 1 return wrk.format("POST", "%s", headers, bodies[at]) end
"""


def requests(count: int, seed: int = 1) -> list[bytes]:
    """Bodies: real drafts between 20 and 40 characters, each behind four turns of some conversation."""
    chosen = random.Random(seed)
    archive = [item for item in read(ARCHIVE, ARCHIVE.name) if isinstance(item, Conversation)]
    screener = Screener()
    clean = [c for c, found in zip(archive, screener.screen_many(archive), strict=True) if not found.flags]
    good = sorted({t.text for c in clean for t in c.turns if t.role == "agent" and 20 <= len(t.text) <= 40})
    hits = (h if isinstance(h, str) else h.text for rule in screener.lexicon.rules if rule.speaker == "agent" for h in rule.hit)
    bad = sorted({text for hit in hits if 15 <= len(text := re.sub("[«»]", "", hit)) <= 45})
    pairs = [c.turns[i : i + 2] for c in clean for i in range(len(c.turns) - 1) if c.turns[i].role == "customer"]
    made = []
    for number in range(count):
        turns = [*chosen.choice(pairs), *chosen.choice(pairs)]
        body = {
            "conversation": {
                "id": f"c-{number}",
                "channel": "online",
                "agent_id": f"a{number % 40}",
                "turns": [{"role": turn.role, "text": turn.text} for turn in turns],
            },
            "draft": chosen.choice(bad if chosen.random() < BAD else good),
        }
        made.append(json.dumps(body, ensure_ascii=False).encode())
    return made


def echo() -> FastAPI:
    """What the framework costs: the body back."""
    app = FastAPI()

    @app.post("/v1/assist/check")
    async def answer(request: Request) -> Response:
        return Response(await request.body(), media_type="application/json")

    return app


def _serve(settings: Settings | None, port: "multiprocessing.connection.Connection") -> None:
    app = echo() if settings is None else create_app(settings)
    config = uvicorn.Config(app, port=0, log_config=None, access_log=False)
    server = uvicorn.Server(config)

    async def run() -> None:
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port.send(server.servers[0].sockets[0].getsockname()[1])
        await task

    if settings is not None:
        import structlog

        structlog.configure(logger_factory=structlog.PrintLoggerFactory(Path(os.devnull).open("w")))  # noqa: SIM115
    asyncio.run(run())


@contextmanager
def served(settings: Settings | None) -> Iterator[tuple[int, int]]:
    """(port, process id) of a worker of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(settings, theirs))
    process.start()
    try:
        yield ours.recv(), process.pid or 0
    finally:
        process.terminate()
        process.join(20)


def closed_loop(port: int, script: Path, seconds: int) -> dict[str, float]:
    """wrk's figures: requests a second, and latencies in milliseconds."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", str(script), f"http://127.0.0.1:{port}"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    units = {"us": 0.001, "ms": 1.0, "s": 1000.0}
    found = {f"p{p}": float(v) * units[u] for p, v, u in re.findall(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s)", shown, re.MULTILINE)}
    rate = re.search(r"Requests/sec:\s+([\d.]+)", shown)
    errors = re.search(r"Non-2xx or 3xx responses: (\d+)", shown)
    assert rate is not None, shown
    return {"rate": float(rate[1]), "errors": float(errors[1]) if errors else 0.0, **found}


async def open_loop(port: int, token: str, bodies: list[bytes], rate: float, seconds: float) -> dict[str, float]:
    """Latencies from the moment a request was due, over connections that are opened as needed."""
    free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    times: list[float] = []
    verdicts: dict[str, int] = {}
    head = f"POST /v1/assist/check HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"

    async def one(body: bytes, due: float) -> None:
        reader, writer = free.pop() if free else await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        headers = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", headers)
        assert length is not None
        answer = await reader.readexactly(int(length[1]))
        times.append(time.perf_counter() - due)
        free.append((reader, writer))
        found = re.match(rb'\{"verdict":"(\w+)"', answer)
        name = found[1].decode() if found else headers[9:12].decode()
        verdicts[name] = verdicts.get(name, 0) + 1

    start, tasks = time.perf_counter() + 0.1, []
    for number in range(int(rate * seconds)):
        due = start + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(bodies[number % len(bodies)], due)))
    await asyncio.gather(*tasks)
    for _, writer in free:
        writer.close()
    times.sort()
    at = {f"p{p}": times[int(len(times) * p / 100)] * 1000 for p in (50, 99)}
    return {"rate": len(times) / (max(time.perf_counter() - start, 1e-9)), "connections": len(free), **at, **verdicts}


def await_ready(port: int) -> None:
    """Until the lexicon and the classifier are loaded and, a little later, all patterns compiled."""
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz"):
                time.sleep(5)
                return
        except urllib.error.HTTPError:
            time.sleep(0.5)


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> str:
    """Resident set of a process in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return f"{pages * resource.getpagesize() // 1_000_000} MB"


def shown(name: str, figures: dict[str, Any]) -> None:
    print(f"{name}: " + ", ".join(f"{key} {value:.2f}" for key, value in figures.items()), flush=True)


def main() -> None:
    """Measure in turns, so that a busy machine slows both alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=300)
    parser.add_argument("--classifier", default=None)
    given = parser.parse_args()
    bodies = requests(REQUESTS)
    with tempfile.TemporaryDirectory(prefix="screening-assist-") as name:
        folder = Path(name)
        settings = Settings(
            secret=SECRET, database=f"sqlite:///{folder}/store.db", workers=0, classifier=given.classifier, rate_per_minute=10**9
        )
        store = Store(settings.database)
        migrations.upgrade(store)
        with store.write() as session:
            _, token = access.add_key(
                session,
                name="benchmark",
                scopes=["screen"],
                vendor_id=None,
                per_minute=None,
                expires_at=None,
                by="benchmark",
                at=system_clock(),
            )
        store.close()
        lines, script = folder / "bodies.jsonl", folder / "check.lua"
        lines.write_bytes(b"\n".join(bodies) + b"\n")
        script.write_text(_LUA % (lines, token.shown, "/v1/assist/check"), encoding="utf-8")
        with served(settings) as (check, pid), served(None) as (plain, plain_pid):
            await_ready(check)
            shown("warm-up", asyncio.run(open_loop(check, token.shown, requests(1500, seed=2), 150, 10)))
            rates: dict[str, list[float]] = {"check": [], "echo": []}
            for _ in range(given.rounds):
                for kind, port, process in (("check", check, pid), ("echo", plain, plain_pid)):
                    before = cpu_seconds(process)
                    figures = closed_loop(port, script, given.seconds)
                    used = (cpu_seconds(process) - before) / (figures["rate"] * given.seconds) * 1000
                    rates[kind].append(figures["rate"])
                    shown(f"closed loop, {kind}", {**figures, "CPU ms a request": used})
                shown("open loop, check", asyncio.run(open_loop(check, token.shown, bodies, given.rate, given.seconds)))
                shown("open loop, echo", asyncio.run(open_loop(plain, token.shown, bodies, given.rate, given.seconds)))
            ratio = median(rates["check"]) / median(rates["echo"])
            print(f"check {median(rates['check']):.0f}/s is {ratio:.2f} of echo {median(rates['echo']):.0f}/s; {memory(pid)}")


if __name__ == "__main__":
    main()
