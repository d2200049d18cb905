"""Running conversations on one worker: time from a turn to its flags, beside an echo over the same sockets, and memory a conversation.

python -m tests.benchmarks.assist_stream [conversations] [seconds] [packaged|none]
"""

import asyncio
import gc
import json
import random
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect

from api import access
from api.app import create_app
from api.assist.messages import About
from api.assist.running import Running
from api.clock import system_clock
from api.settings import Settings
from api.store import migrations
from api.store.engine import Store
from screening.pipeline import LastTurn, Screener
from screening.readers.jsonl import read
from screening.samples import ARCHIVE
from screening.types import Conversation, Turn

PAUSE = 5.0
"""Seconds between two turns of one conversation."""
PER_DESK = 20
_WARM = 0.2
SAID_AT = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


class Times(NamedTuple):
    """Milliseconds from a turn to its answer."""

    p50: float
    p99: float
    worst: float
    turns: int

    @classmethod
    def of(cls, seconds: list[float]) -> "Times":
        """Of measured seconds; the first fifth is warming up."""
        kept = sorted(seconds[int(len(seconds) * _WARM) :])
        return cls(1000 * kept[len(kept) // 2], 1000 * kept[int(len(kept) * 0.99)], 1000 * kept[-1], len(kept))


def spoken(seed: int) -> Iterator[tuple[str, str]]:
    """Endless talk out of the sample archive: (role, text)."""
    archive = [item for item in read(ARCHIVE, ARCHIVE.name) if isinstance(item, Conversation)]
    chance = random.Random(seed)
    while True:
        yield from ((turn.role, turn.text) for turn in chance.choice(archive).turns)


async def echo(socket: WebSocket) -> None:
    """The same framework doing nothing."""
    await socket.accept()
    try:
        while True:
            message = json.loads(await socket.receive_text())
            await socket.send_text(
                json.dumps({"type": "welcome"} if message["type"] == "hello" else {"type": "flags", "of": message["seq"]})
            )
    except WebSocketDisconnect:
        pass


def serve(kind: str, classifier: str, folder: str, ready: Connection) -> None:
    """One worker in a process of its own; tells its port and key."""
    key = ""
    app: Any = Starlette(routes=[WebSocketRoute("/v1/assist/stream", echo)])
    if kind == "stream":
        settings = Settings(
            demo=True, database=f"sqlite:///{folder}/store.db", classifier=None if classifier == "packaged" else classifier
        )
        store = Store(settings.database)
        migrations.upgrade(store)
        with store.write() as session:
            _, token = access.add_key(
                session, name="b", scopes=("screen",), vendor_id=None, per_minute=None, expires_at=None, by="b", at=system_clock()
            )
        key = token.shown
        app = create_app(settings)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False, ws_per_message_deflate=False))

    async def run() -> None:
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.05)
        while kind == "stream" and app.state.service.engine.problem is not None:
            await asyncio.sleep(0.2)
        ready.send((server.servers[0].sockets[0].getsockname()[1], key))
        await task

    asyncio.run(run())


async def one_desk(url: str, key: str, number: int, count: int, until: float, times: list[float]) -> None:
    """`count` conversations that each say a turn every `PAUSE` seconds, evenly spread."""
    async with connect(url, additional_headers={"Authorization": f"Bearer {key}"}, compression=None) as socket:
        await socket.send('{"type":"hello"}')
        await socket.recv()
        sent: dict[int, float] = {}
        got = [0]
        hearing = asyncio.create_task(_hear(socket, sent, times, got))
        talks = [spoken(number * 1000 + k) for k in range(count)]
        seq, start = 0, time.perf_counter() + random.Random(number).random() * PAUSE / count
        while time.perf_counter() < until:
            for k, talk in enumerate(talks):
                await asyncio.sleep(max(0.0, start + PAUSE * k / count - time.perf_counter()))
                role, text = next(talk)
                seq += 1
                sent[seq] = time.perf_counter()
                message = {
                    "type": "turn",
                    "seq": seq,
                    "conversation": f"c{number}-{k}",
                    "role": role,
                    "text": text,
                    "received": got[0],
                }
                await socket.send(json.dumps(message | {"at": f"{time.strftime('%Y-%m-%dT%H:%M:%S')}Z"}, ensure_ascii=False))
            start += PAUSE
        await asyncio.sleep(1)
        hearing.cancel()


async def _hear(socket: ClientConnection, sent: dict[int, float], times: list[float], got: list[int]) -> None:
    async for text in socket:
        now = time.perf_counter()
        message = json.loads(text)
        got[0] = message.get("seq", got[0])
        if message["type"] == "flags":
            times.append(now - sent.pop(message["of"]))
            assert message.get("complete", True), message
        assert message["type"] not in ("error", "closing"), message


async def measured(port: int, key: str, conversations: int, seconds: float) -> Times:
    """All desks against one worker."""
    until = time.perf_counter() + seconds
    times: list[float] = []
    url = f"ws://127.0.0.1:{port}/v1/assist/stream"
    await asyncio.gather(*(one_desk(url, key, n, PER_DESK, until, times) for n in range(conversations // PER_DESK)))
    return Times.of(times)


def run(kind: str, classifier: str, conversations: int, seconds: float) -> Times:
    """The times of one kind of service."""
    with tempfile.TemporaryDirectory() as folder:
        here, there = get_context("spawn").Pipe()
        process = get_context("spawn").Process(target=serve, args=(kind, classifier, folder, there), daemon=True)
        process.start()
        port, key = here.recv()
        try:
            return asyncio.run(measured(port, key, conversations, seconds))
        finally:
            process.kill()
            process.join()


def memory(conversations: int, screener: Screener, turns: int = 30) -> float:
    """Bytes of Python's memory that a running conversation takes after so many turns; sockets and outboxes, which desks share, apart."""
    talk = spoken(1)
    said = [(role, text) for _, (role, text) in zip(range(turns), talk, strict=False)]
    texts = [msgspec.json.encode(Turn(role, text, at=SAID_AT + timedelta(seconds=5 * k))) for k, (role, text) in enumerate(said)]  # type: ignore[arg-type]
    judged: list[LastTurn] = []
    tracemalloc.start()
    held = [_talked(f"w{number}", texts, screener, judged) for number in range(3)]  # what is loaded at first need is nobody's
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    held += [_talked(f"c{number}", texts, screener, judged) for number in range(conversations)]
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return grown / conversations


def _talked(name: str, texts: list[bytes], screener: Screener, judged: list[LastTurn]) -> Running:
    """A conversation after its turns; they are judged once, since tracing makes judging slow."""
    running = Running(name, "session", About())
    for text in texts:
        turn = msgspec.json.decode(text, type=Turn)
        place = running.take(turn)
        window = running.window(turn, screener.reach)
        if place == len(judged):
            judged += screener.classified(screener.windows([window], [place]))
        own = judged[place]
        running.course, screening, running.timers = screener.follow(window, own, running.course)
        running.tell(screening.flags, place)
        running.judged(place, turn, own.seen.kinds, screener.reach)
    return running


def main() -> None:
    """Print the figures."""
    conversations, seconds = (int(text) for text in (*sys.argv[1:3], *("1000", "25")[len(sys.argv[1:3]) :]))
    classifier = sys.argv[3] if len(sys.argv) > 3 else "packaged"
    for kind in ("echo", "stream"):
        print(kind, run(kind, classifier, conversations, seconds), flush=True)
    print(f"memory: {memory(2000, Screener()) / 1024:.1f} KiB a conversation of 30 turns")


if __name__ == "__main__":
    main()
