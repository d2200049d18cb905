"""The desks' clients against a served application: answers, a dropped connection, a worker that is gone."""

import asyncio
import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from api import access
from api.app import create_app
from api.assist import clients
from api.assist.clients.desk import DeskStream, RefusedError
from api.engine import ScreeningEngine
from api.overlay.follow import FIRST
from api.settings import Settings
from screening.pipeline import Screener
from screening.replay import encode
from screening.types import Conversation, Turn
from tests.ruling import small_screener

JAVASCRIPT = Path(clients.__file__).with_name("desk.mjs")
SAID = [("customer", "能便宜点吗"), ("agent", "加我微信，那边便宜一百"), ("customer", "好的")]


@pytest.fixture(scope="module")
def screener() -> Screener:
    made = small_screener()
    made.screen(FIRST)
    return made


class Served:
    """The application behind a port."""

    def __init__(self, settings: Settings, screener: Screener, port: int = 0):
        engine = ScreeningEngine(lambda: screener, queue_turns=settings.queue_turns)
        self.app = create_app(settings, engine=engine)
        config = uvicorn.Config(self.app, port=port, log_config=None, lifespan="on", timeout_graceful_shutdown=1)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        while not (self.server.started and self.server.servers):
            assert self.thread.is_alive()
        self.port = self.server.servers[0].sockets[0].getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}/v1/assist/stream"

    def key(self) -> str:
        service = self.app.state.service
        with service.store.write() as session:
            _, token = access.add_key(
                session,
                name="desk",
                scopes=("screen",),
                vendor_id=None,
                per_minute=None,
                expires_at=None,
                by="t",
                at=service.clock(),
            )
        return token.shown

    def drop(self) -> None:
        """Cut every connection, as a network does."""
        for connection in list(self.server.server_state.connections):
            connection.loop.call_soon_threadsafe(connection.transport.abort)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join()


@contextmanager
def served(settings: Settings, screener: Screener) -> Iterator[list[Served]]:
    """The running applications; the test may stop one and append another."""
    running = [Served(settings, screener)]
    try:
        yield running
    finally:
        running[-1].stop()


def whole(screener: Screener) -> Any:
    turns = tuple(Turn(role, words) for role, words in SAID)  # type: ignore[arg-type]
    return json.loads(encode(screener.screen(Conversation("c1", turns, ended_by="customer"))))


async def talked(running: list[Served], between: Callable[[], None]) -> tuple[list[dict], dict, dict, list[dict]]:
    heard: list[dict] = []
    async with DeskStream(running[0].url, running[0].key(), heard.append) as desk:
        flags = [await desk.turn("c1", *SAID[0])]
        verdict = await desk.draft("c1", "加我微信，那边便宜一百", deadline_ms=20_000)
        flags.append(await desk.turn("c1", *SAID[1]))
        await asyncio.to_thread(between)
        flags.append(await desk.turn("c1", *SAID[2]))
        with pytest.raises(RefusedError, match="no such open conversation"):
            await desk.end("c2")
        return flags, verdict, await desk.end("c1", ended_by="customer"), heard


def checked(told: tuple[list[dict], dict, dict, list[dict]], screener: Screener) -> list[dict]:
    flags, verdict, screening, heard = told
    assert [answer["turn"] for answer in flags] == [0, 1, 2]
    assert [bool(answer["flags"]) for answer in flags] == [False, True, False]
    assert verdict["verdict"]["verdict"] == "block"
    assert screening["screening"] == whole(screener)
    return heard


def restarted(running: list[Served], settings: Settings, screener: Screener) -> None:
    running[0].stop()
    running.append(Served(settings, screener, running[0].port))


def test_python(settings, screener) -> None:
    with served(settings, screener) as running:
        heard = checked(asyncio.run(talked(running, running[0].drop)), screener)
    assert [message["resumed"] for message in heard if message["type"] == "welcome"] == [False, True]
    numbers = [message["seq"] for message in heard if "seq" in message]
    assert numbers == list(range(1, len(numbers) + 1))


def test_python_after_a_worker_is_gone(settings, screener) -> None:
    with served(settings, screener) as running:
        heard = checked(asyncio.run(talked(running, lambda: restarted(running, settings, screener))), screener)
    assert [message["resumed"] for message in heard if message["type"] == "welcome"] == [False, False]
    assert [message["code"] for message in heard if message["type"] == "closing"] == ["other_worker"]


def test_python_with_a_wrong_key(settings, screener) -> None:
    async def refused() -> None:
        async with DeskStream(running[0].url, "sk_wrong") as desk:
            with pytest.raises(RefusedError, match="the API key is unknown"):
                await desk.turn("c1", "agent", "您好")

    with served(settings, screener) as running:
        asyncio.run(refused())


SCRIPT = """
import { createInterface } from "node:readline";
import { DeskStream } from "%s";
const [url, token] = process.argv.slice(2);
const heard = [];
const desk = new DeskStream(url, { token, hear: (message) => heard.push(message) });
const told = [];
told.push(await desk.turn("c1", "customer", "能便宜点吗"));
const verdict = await desk.draft("c1", "加我微信，那边便宜一百", { deadline_ms: 20000 });
told.push(await desk.turn("c1", "agent", "加我微信，那边便宜一百"));
desk.typing("c1", "agent");
console.log("between");
await new Promise((resolve) => createInterface({ input: process.stdin }).once("line", resolve));
told.push(await desk.turn("c1", "customer", "好的"));
const refused = await desk.end("c2").catch((error) => error);
const screening = await desk.end("c1", { ended_by: "customer" });
desk.close();
console.log(JSON.stringify({ told, verdict, refused, screening, heard }));
process.exit(0);
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")
@pytest.mark.parametrize("gone", [False, True], ids=["a dropped connection", "a worker that is gone"])
def test_javascript(settings, screener, tmp_path: Path, *, gone: bool) -> None:
    script = tmp_path / "desk_test.mjs"
    script.write_text(SCRIPT % JAVASCRIPT, encoding="utf-8")
    with served(settings, screener) as running:
        command = ["node", "--experimental-websocket", str(script), running[0].url, running[0].key()]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as node:
            assert node.stdout is not None
            assert node.stdout.readline() == "between\n"
            if gone:
                restarted(running, settings, screener)
            else:
                running[0].drop()
            out, _ = node.communicate("go on\n", timeout=60)
    told = json.loads(out)
    heard = checked((told["told"], told["verdict"], told["screening"], told["heard"]), screener)
    assert told["refused"]["code"] == "not_found"
    assert [message["resumed"] for message in heard if message["type"] == "welcome"] == [False, not gone]
