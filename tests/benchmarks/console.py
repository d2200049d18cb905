"""Thirty reviewers at once on one process of the console: how long a decision takes to be answered.

python -m tests.benchmarks.console [REVIEWERS] [DECISIONS]

Each is a client of the console's own websocket protocol. All decide as fast as the service answers for a burst, then at the
pace of a person; the same decisions by one reviewer alone stand beside it.
"""

import asyncio
import json
import os
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from sqlalchemy import select
from websockets.asyncio.client import ClientConnection, connect

from api import users
from api.access import COOKIE
from api.clock import system_clock
from api.serving import prepare_demo
from api.settings import Settings
from api.store.engine import Store
from api.store.tables import StoredCandidate, StoredConversation
from api.wiring import open_screener
from screening.types import Conversation, Turn
from tests.reviewing import kept

PASSWORD = "korrekt-Pferd-7-Batterie"
PACE_SECONDS = 2.0


class Reviewer:
    """A page of the console without a browser: asks and hears the answers."""

    def __init__(self, address: str, token: str):
        self.address = address
        self.token = token

    async def open(self) -> None:
        """Load the page and join its websocket."""
        headers = {"Cookie": f"{COOKIE}={self.token}"}
        request = urllib.request.Request(f"{self.address}/console/", headers=headers)
        page = await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=60).read().decode())
        (self.client_id,) = re.findall(r"'client_id': '([^']+)'", page)
        # the layout's listener of the page's messages, out of the elements that the page is drawn from
        (self.listener,) = re.findall(r'"listener_id":"([^"]+)","type":"triage"', page)
        url = self.address.replace("http", "ws") + "/console/_nicegui_ws/socket.io/?EIO=4&transport=websocket&next_message_id=0"
        url += f"&implicit_handshake=true&client_id={self.client_id}&document_id={secrets.token_hex(8)}&tab_id={secrets.token_hex(8)}"
        self.socket: ClientConnection = await connect(url, additional_headers=headers, origin=self.address, max_size=None)  # type: ignore[arg-type]
        await self.socket.recv()
        await self.socket.send("40")
        while not str(await self.socket.recv()).startswith("40"):
            pass

    async def ask(self, name: str, **given: object) -> Any:
        """The answer to a message of the page."""
        ref = secrets.token_hex(8)
        args = [json.dumps({"ref": ref, "name": name, "given": given})]
        event = {"id": 0, "client_id": self.client_id, "listener_id": self.listener, "args": args}
        await self.socket.send("42" + json.dumps(["event", event]))
        while True:
            heard = str(await self.socket.recv())
            if heard == "2":
                await self.socket.send("3")
            elif ref in heard:
                code = json.loads(heard[2:])[1]["code"]
                answer = json.loads(code.removeprefix("triageAnswer(").removesuffix(")"))
                assert answer["ok"], answer
                return answer["data"]

    async def work(self, numbers: list[int], pace: float) -> list[float]:
        """Decide on these candidates; the seconds that each decision took."""
        took = []
        for number in numbers:
            view = await self.ask("open", candidate=number)
            await asyncio.sleep(pace * (0.5 + secrets.randbelow(1000) / 1000))
            flags = [{"n": n, "verdict": "confirmed"} for one in view["candidates"] if one["id"] == number for n in one["flags"]]
            decision = {"screening_id": view["screening_id"], "verdict": "confirmed", "flags": flags}
            started = time.perf_counter()
            await self.ask("decide", candidate=number, decision=decision)
            took.append(time.perf_counter() - started)
        return took


async def measure(address: str, tokens: list[str], numbers: list[int], decisions: int) -> dict[str, list[float]]:
    """Seconds of the decisions: of one reviewer alone, of all at a person's pace, of all at once without a pause."""
    reviewers = [Reviewer(address, token) for token in tokens]
    for one in reviewers:
        await one.open()
    todo = iter(numbers)
    share = lambda: [next(todo) for _ in range(decisions)]  # noqa: E731
    found = {"alone": await reviewers[0].work(share(), 0)}
    for name, pace in (("paced", PACE_SECONDS), ("burst", 0.0)):
        found[name] = [took for some in await asyncio.gather(*(one.work(share(), pace) for one in reviewers)) for took in some]
    return found


def _ready(address: str) -> bool:
    try:
        return bool(urllib.request.urlopen(f"{address}/readyz", timeout=60).status == 200)
    except urllib.error.HTTPError:
        return False


def run(reviewers: int = 30, decisions: int = 5) -> dict[str, list[float]]:
    """Serve a store filled for it from a process of its own, and measure."""
    with tempfile.TemporaryDirectory() as folder:
        database = f"sqlite:///{Path(folder) / 'bench.db'}"
        settings = Settings(demo=True, database=database, workers=0, classifier="none")
        screener = open_screener(settings)
        prepare_demo(settings, screener)
        store = Store(database)
        wanted = decisions * (2 * reviewers + 1)
        chats = [
            Conversation(f"b-{i}", (Turn("customer", "能便宜点吗"), Turn("agent", "加我微信，那边便宜一百")))
            for i in range(wanted)
        ]
        kept(store, screener, chats, at=system_clock())
        tokens = []
        service: Any = type("Opened", (), {"store": store, "settings": settings, "clock": staticmethod(system_clock)})
        for i in range(reviewers):
            with store.write() as session:
                users.add(
                    session, name=f"r{i}", password=PASSWORD, role="reviewer", vendor_id=None, by="bench", at=system_clock()
                )
            tokens.append(users.login(service, f"r{i}", PASSWORD, "bench")[1].shown)
        with store.read() as session:
            own = StoredConversation.external_id.like("b-%")
            joined = select(StoredCandidate.id).join(StoredConversation, StoredConversation.id == StoredCandidate.conversation_id)
            numbers = list(session.scalars(joined.where(own)))
        store.close()
        environment = {
            **os.environ,
            "SCREENING_SECRET": secrets.token_hex(32),
            "SCREENING_WORKERS": "0",
            "SCREENING_CLASSIFIER": "none",
        }
        command = [sys.executable, "-m", "api.cli", "serve", "--port", "0", "--database", database]
        served = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert served.stderr is not None
        try:
            address = next(line.split()[-1] for line in served.stderr if line.startswith("listening on"))
            threading.Thread(target=served.stderr.read, daemon=True).start()
            while not _ready(address):
                time.sleep(0.2)
            return asyncio.run(measure(address, tokens, numbers, decisions))
        finally:
            served.terminate()
            served.wait()


if __name__ == "__main__":
    for name, took in run(*map(int, sys.argv[1:])).items():
        ordered = sorted(took)
        at = [1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.95, 0.99)]
        print(
            f"{name:6} {len(took):4} decisions: mean {1000 * statistics.mean(took):.0f} ms, 50/95/99 % within {at[0]:.0f}/{at[1]:.0f}/{at[2]:.0f} ms"
        )
