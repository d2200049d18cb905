"""Runs the service: uvicorn in one API process or several and, beside them, the worker processes that the settings ask for."""

import secrets
import threading
from collections.abc import Callable
from typing import NamedTuple
from zoneinfo import ZoneInfo

import uvicorn

from api import access, ingest, logs, processes, users
from api.app import create_app
from api.clock import Clock, system_clock
from api.engine import ScreeningEngine
from api.jobs import worker
from api.results import Keeping
from api.settings import Settings
from api.store import migrations
from api.store.bodies import Bodies
from api.store.engine import Store
from api.wiring import open_screener
from screening.pipeline import Screener
from screening.readers import files
from screening.samples import ARCHIVE
from screening.types import Conversation

_STOP_SECONDS = 30
DEMO_USERS = ("reviewer", "lead", "admin")


class Demo(NamedTuple):
    """What a demo's visitor needs: a password for each of `DEMO_USERS` and an API key."""

    passwords: dict[str, str]
    key: str
    conversations: int


def prepare_demo(settings: Settings, screener: Screener, clock: Clock = system_clock) -> Demo:
    """Bring the demo's store up, with users, a key and the sample archive; earlier runs' data stay, passwords are new."""
    store = Store(settings.database)
    try:
        migrations.upgrade(store)
        conversations = [item for item in files.read(str(ARCHIVE)) if isinstance(item, Conversation)]
        bodies = Bodies(settings.keys(), settings.encryption_key)
        keeping = Keeping(bodies, settings, ZoneInfo(screener.profile.timezone))
        work = list(zip(conversations, screener.screen_many(conversations), strict=True))
        passwords = {name: secrets.token_urlsafe(12) for name in DEMO_USERS}
        with store.write() as session:
            ingest.keep(session, work, keeping, clock())
        with store.write() as session:
            for name, password in passwords.items():
                users.put(session, name=f"demo-{name}", password=password, role=name, by="demo", at=clock())
            _, token = access.add_key(
                session,
                name="demo",
                scopes=sorted(access.SCOPES),
                vendor_id=None,
                per_minute=None,
                expires_at=None,
                by="demo",
                at=clock(),
            )
    finally:
        store.close()
    return Demo(passwords, token.shown, len(conversations))


def serve(settings: Settings, screener: Screener | None = None, ready: Callable[[str], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT: requests under way are answered, jobs under way are taken up again later.

    `screener` saves loading the lexicon again; `ready` hears the address once the service listens.
    """
    logs.configure(settings.log_level)
    if settings.processes > 1:
        shared = screener or open_screener(settings)
        processes.serve(settings, shared, lambda socket: _server(settings, shared, None).run(sockets=[socket]), ready)
        return
    server = _server(settings, screener, ready)
    stopping = threading.Event()
    workers = threading.Thread(target=worker.supervise, args=(settings, settings.workers, stopping), name="workers")
    if settings.workers:
        workers.start()
    try:
        server.run()
    finally:
        stopping.set()
        if settings.workers:
            workers.join()


def _server(settings: Settings, screener: Screener | None, ready: Callable[[str], None] | None) -> "_Server":
    engine = None
    if screener is not None:  # what is in force in the store lies over it from the first request on
        engine = ScreeningEngine(lambda: app.state.service.follower.opened(screener), queue_turns=settings.queue_turns)
    app = create_app(settings, engine=engine)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        ws_max_size=2 * settings.stream_message_bytes,  # a little more than allowed is answered, much more is cut off
        ws_per_message_deflate=False,  # small messages: it would cost memory a socket and time a message
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    return _Server(config, ready)


class _Server(uvicorn.Server):
    """Tells where it listens; with port 0 nobody knows before."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[str], None] | None):
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup(sockets)  # type: ignore[arg-type]
        if self._ready is not None and self.servers:
            port = self.servers[0].sockets[0].getsockname()[1]
            self._ready(f"http://{self.config.host}:{port}")
