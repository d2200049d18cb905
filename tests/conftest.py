import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings as properties

from screening.pipeline import Screener
from screening.readers.jsonl import read
from screening.samples import ARCHIVE
from screening.types import Conversation, Screening, Turn

if TYPE_CHECKING:
    from fastapi.testclient import TestClient
    from playwright.sync_api import Browser

    from api.settings import Settings
    from api.store.engine import Store
    from api.wiring import Service
    from models.cascade import Cascade
    from tests.console import Console

SHANGHAI = timezone(timedelta(hours=8))
START = datetime(2026, 3, 2, 10, 0, 0, tzinfo=SHANGHAI)

properties.register_profile("patient", parent=properties.default, deadline=None)  # a busy machine is no fault of the code
properties.load_profile("patient")

os.environ.setdefault("SCREENING_CACHE", tempfile.mkdtemp(prefix="screening-cache-"))
# The service is tested over the rules; that it also takes the packaged classifier is a test of its own (test_classifiers.py).
os.environ.setdefault("SCREENING_CLASSIFIER", "none")


def conversation(*turns: tuple, channel: str = "online", **fields: object) -> Conversation:
    """Turns are (role, text[, seconds after the start[, seconds until the speaker stops]])."""
    made = []
    for role, text, *times in turns:
        at = START + timedelta(seconds=times[0]) if times else None
        ends_at = START + timedelta(seconds=times[1]) if len(times) > 1 else None
        made.append(Turn(role, text, at=at, ends_at=ends_at))
    return Conversation(id="c-1", turns=tuple(made), channel=channel, **fields)


def active(screening: Screening, *signals: str) -> list[tuple[str, int | None]]:
    """(signal, turn) of the active flags, only of the given signals (or families ending in a dot) when any are given."""
    return [
        (flag.signal, flag.turn)
        for flag in screening.flags
        if flag.status == "active" and (not signals or flag.signal in signals or flag.signal.split(".")[0] + "." in signals)
    ]


@pytest.fixture(scope="session")
def screener() -> Screener:
    return Screener()


@pytest.fixture(scope="session")
def archive() -> list[Conversation]:
    items = list(read(ARCHIVE, ARCHIVE.name))
    assert all(isinstance(item, Conversation) for item in items)
    return items


@pytest.fixture(scope="session")
def cascade() -> "Cascade":
    """The packaged classifier."""
    from models.cascade import Cascade

    return Cascade()


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """PyTorch on one thread: networks as small as those of the tests only wait for a second one."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def flags_of(screener: Screener) -> Callable[..., list[tuple[str, int | None]]]:
    def found(*turns: tuple, signals: tuple[str, ...] = (), **fields: object) -> list[tuple[str, int | None]]:
        return active(screener.screen(conversation(*turns, **fields)), *signals)

    return found


POSTGRES = os.environ.get("SCREENING_TEST_POSTGRES")
SECRET = "kX9v2LqTz7Wm4RbY8sHd3NfGc6JpAe1U"


class TurnedClock:
    """A clock that stands still until it is turned; microseconds."""

    def __init__(self) -> None:
        self.now = 1_772_000_000_000_000

    def __call__(self) -> int:
        return self.now

    def turn(self, *, seconds: float) -> None:
        self.now += int(seconds * 1_000_000)


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


def postgres_administration(*statements: str) -> None:
    from sqlalchemy import create_engine, make_url

    admin = create_engine(make_url(POSTGRES or "").set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    admin.dispose()


def fresh_postgres(name: str) -> str:
    """The URL of an empty database of this name beside the one of the setting."""
    from sqlalchemy import make_url

    postgres_administration(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'CREATE DATABASE "{name}"')
    url = make_url(POSTGRES or "").set(drivername="postgresql+psycopg", database=name)
    return url.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite store at the last migration; tests copy it."""
    from api.store import migrations
    from api.store.engine import Store

    path = tmp_path_factory.mktemp("store") / "migrated.db"
    made = Store(f"sqlite:///{path}")
    migrations.upgrade(made)
    made.close()
    return path


ON_POSTGRES = pytest.param(
    "postgres", marks=[pytest.mark.postgres, pytest.mark.skipif(not POSTGRES, reason="SCREENING_TEST_POSTGRES is not set")]
)
"""For tests of one database only: `@pytest.mark.parametrize("database", [ON_POSTGRES], indirect=True)`."""


@pytest.fixture(params=["sqlite", ON_POSTGRES])
def database(request: pytest.FixtureRequest, migrated: Path, tmp_path: Path) -> Iterator[str]:
    """The URL of a migrated, empty store: once on SQLite, once on PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{shutil.copy(migrated, tmp_path / 'store.db')}"
        return
    from api.store import migrations
    from api.store.engine import Store

    name = f"screening_test_{os.getpid()}"  # several runs may share a server
    url = fresh_postgres(name)
    made = Store(url)
    migrations.upgrade(made)
    made.close()
    yield url
    postgres_administration(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def store(database: str) -> "Iterator[Store]":
    from api.store.engine import Store

    opened = Store(database)
    yield opened
    opened.close()


@pytest.fixture
def settings(migrated: Path, tmp_path: Path) -> "Settings":
    from api.settings import Settings

    database = f"sqlite:///{shutil.copy(migrated, tmp_path / 'service.db')}"
    return Settings(secret=SECRET, database=database, workers=0, console=False)


@pytest.fixture
def client(settings: "Settings", clock: TurnedClock, screener: Screener) -> "Iterator[TestClient]":
    """The real application over the session's screener, started and stopped."""
    from fastapi.testclient import TestClient

    from api.app import create_app
    from api.engine import ScreeningEngine

    engine = ScreeningEngine(lambda: screener, queue_turns=settings.queue_turns)
    with TestClient(create_app(settings, clock, engine)) as opened:
        yield opened


@pytest.fixture
def service(client: "TestClient") -> "Service":
    return client.app.state.service


@pytest.fixture
def as_user(service: "Service") -> Callable[..., dict[str, str]]:
    """Headers of a new user's session: `as_user("reviewer")`, `as_user("vendor", vendor="v1")`."""
    from api import access
    from api.store.tables_access import User, UserSession

    def headers(role: str, vendor: str | None = None, name: str | None = None) -> dict[str, str]:
        now = service.clock()
        token = access.new_session()
        with service.store.write() as session:
            given = name or f"{role}-{token.shown[-6:].lower()}"
            user = User(name=given, password_hash="-", role=role, vendor_id=vendor, created_at=now, password_changed_at=now)
            session.add(user)
            session.flush()
            session.add(
                UserSession(
                    user_id=user.id, token_hash=token.digest, created_at=now, expires_at=now + 3_600_000_000, address="test"
                )
            )
        return {"Authorization": f"Bearer {token.shown}"}

    return headers


@pytest.fixture
def as_key(service: "Service") -> Callable[..., dict[str, str]]:
    """Headers of a new API key: `as_key("screen", "ingest", vendor="v1")`."""
    from api import access

    def headers(*scopes: str, vendor: str | None = None, per_minute: int | None = None) -> dict[str, str]:
        with service.store.write() as session:
            _, token = access.add_key(
                session,
                name="test",
                scopes=scopes,
                vendor_id=vendor,
                per_minute=per_minute,
                expires_at=None,
                by="test",
                at=service.clock(),
            )
        return {"Authorization": f"Bearer {token.shown}"}

    return headers


def refused(answer: object, status: int, code: str, field: str | None = None) -> str:
    """Asserts that an answer is this error in the one envelope; gives its message."""
    assert answer.status_code == status, answer.text
    (error,) = answer.json().values()
    assert (error["code"], error["field"]) == (code, field), error
    assert error["request_id"] == answer.headers["x-request-id"]
    assert error["message"]
    return error["message"]


@pytest.fixture(scope="module")  # Playwright keeps an event loop running in this thread as long as it lives
def chromium() -> "Iterator[Browser]":
    from tests.console import browser

    with browser() as opened:
        yield opened


@pytest.fixture
def console(settings: "Settings", screener: Screener, chromium: "Browser") -> "Iterator[Console]":
    """The real application with its console, listening; a test that leaves messages in the browser's console fails."""
    from api.app import create_app
    from api.engine import ScreeningEngine
    from tests.console import Console, listening

    engine = ScreeningEngine(lambda: screener, queue_turns=settings.queue_turns)
    app = create_app(settings.model_copy(update={"console": True}), engine=engine)
    with listening(app) as address:
        opened = Console(app.state.service, address, chromium)
        yield opened
        for context in chromium.contexts:
            context.close()
    assert opened.problems == []
