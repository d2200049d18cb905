"""What goes wrong around the service, for real: processes killed, a server stopped, a disk that takes no more."""

import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, inspect, select
from typer.testing import CliRunner

from api import users
from api.cli import app
from api.clock import system_clock
from api.store import migrations
from api.store.engine import Store
from api.store.tables import Revision, StoredConversation, StoredScreening
from tests import postgres
from tests.conftest import ON_POSTGRES, SECRET, fresh_postgres, postgres_administration
from tests.ruling import COUNTER
from tests.test_jobs import RUDE, line
from tests.test_serving import Running
from tests.test_worker import until as until_

pytestmark = pytest.mark.slow
until = partial(until_, seconds=400)

CHAT: dict[str, Any] = {"turns": [{"role": "customer", "text": "在吗"}, {"role": "agent", "text": RUDE}]}


@pytest.fixture(params=["sqlite", ON_POSTGRES])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    name = f"screening_empty_{os.getpid()}"
    yield fresh_postgres(name)
    postgres_administration(f'DROP DATABASE "{name}" WITH (FORCE)')


DYING = """
import os, signal, sys
from sqlalchemy import event
from api.store import migrations
from api.store.engine import Store

store = Store(sys.argv[1])

@event.listens_for(store.engine, "after_cursor_execute")
def executed(connection, cursor, statement, *_):
    if sys.argv[2] in statement:
        os.kill(os.getpid(), signal.SIGKILL)

migrations.upgrade(store)
"""


def test_a_migration_killed_in_the_middle_leaves_nothing_and_is_done_by_the_next(empty: str) -> None:
    for statement in ("CREATE TABLE screenings", "TABLE search_index", "INSERT INTO alembic_version"):
        command = [sys.executable, "-c", DYING, empty, statement]
        died = subprocess.run(command, check=False, capture_output=True, timeout=300)
        assert died.returncode == -signal.SIGKILL, died.stderr
        store = Store(empty)
        until(lambda store=store: inspect(store.engine).get_table_names() == [])  # PostgreSQL has yet to notice
        store.close()
    done = CliRunner(env={"SCREENING_SECRET": SECRET, "SCREENING_DATABASE": empty}).invoke(app, ["db", "upgrade"])
    assert done.exit_code == 0, done.output
    store = Store(empty)
    assert (migrations.current(store), migrations.differences(store)) == (migrations.head(), [])
    store.close()


def key_for(environment: dict[str, str]) -> str:
    """Tables, and a key that may do what these tests ask."""
    cli = CliRunner(env=environment)
    assert cli.invoke(app, ["db", "upgrade"]).exit_code == 0
    scopes = [word for scope in ("screen", "ingest", "read", "raw", "jobs") for word in ("--scope", scope)]
    made = cli.invoke(app, ["key", "create", "faults", *scopes])
    assert made.exit_code == 0, made.output
    return made.stdout.strip()


def upload(running: Running, key: str, count: int) -> tuple[int, bytes]:
    """Send conversations `c-0`.. as one job; status and body."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"}
    data = b"\n".join(line(n, RUDE) for n in range(count))
    request = urllib.request.Request(f"{running.address}/v1/jobs/conversations", data, headers)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def counts(database: str) -> list[int]:
    store = Store(database)
    with store.read() as session:
        tables = (StoredConversation, Revision, StoredScreening)
        found = [session.scalar(select(func.count()).select_from(table)) or 0 for table in tables]
    store.close()
    return found


def job_state(running: Running, key: str) -> tuple[str, int]:
    status, job = running.ask("/v1/jobs/1", token=key)
    return (job["state"], job["done"]) if status == 200 else ("?", 0)


class Senders:
    """Threads that keep sending conversations, each again until it is stored; `refusals` holds what was answered else."""

    def __init__(self, running: Running, key: str, count: int) -> None:
        self.stored: list[str] = []
        self.refusals: list[tuple[int, Any]] = []
        self._over = threading.Event()
        self._running, self._key = running, key
        self._threads = [threading.Thread(target=self._send, args=(i,)) for i in range(count)]
        for thread in self._threads:
            thread.start()

    def _send(self, number: int) -> None:
        n = 0
        while not self._over.is_set():
            id_ = f"s{number}-{n}"
            status, answer = self._running.ask("/v1/conversations", CHAT | {"id": id_}, self._key)
            if status in (200, 201):
                self.stored.append(id_)
                n += 1
            else:
                self.refusals.append((status, answer))
                time.sleep(0.2)
            time.sleep(0.02)

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)


@pytest.mark.postgres
@pytest.mark.skipif(postgres.programs() is None, reason="PostgreSQL's server programs are not installed")
@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_server_stopped_and_started_under_load_loses_nothing(tmp_path: Path, mode: str) -> None:
    with postgres.server() as server:
        environment = {
            "SCREENING_SECRET": SECRET,
            "SCREENING_DATABASE": server.url,
            "SCREENING_SPOOL": str(tmp_path / "spool"),
            "SCREENING_LEASE_SECONDS": "2",
            "SCREENING_WORKERS": "1",
            "SCREENING_LOG_LEVEL": "error",  # nobody reads the lines meanwhile
        }
        key = key_for(environment)
        running = Running(environment=environment)
        senders = None
        try:
            until(lambda: running.ask("/readyz")[0] == 200)
            n = 1000
            assert upload(running, key, n)[0] == 202
            senders = Senders(running, key, 2)
            until(lambda: len(senders.stored) > 5 and job_state(running, key)[1] > 0)
            server.stop(mode)
            before = len(senders.refusals)
            until(lambda: len(senders.refusals) > before + 4)
            assert running.ask("/readyz")[0] == 503
            assert running.ask("/healthz")[0] == 200
            server.start()
            then = len(senders.stored)
            until(lambda: len(senders.stored) > then + 5)
            assert running.ask("/readyz")[0] == 200
            until(lambda: job_state(running, key) == ("done", n))
            assert running.process.poll() is None
        finally:
            if senders is not None:
                senders.stop()
            running.stop()
        assert {status for status, _ in senders.refusals} == {503}
        for _, answer in senders.refusals:
            assert answer["error"]["code"] == "store_unavailable"
            assert answer["error"]["request_id"]
            assert answer["error"]["message"]
        assert counts(server.url) == [n + len(senders.stored)] * 3


def family(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def limit_files(process: "subprocess.Popen[str]", size: int) -> None:
    """No process of the service may write beyond this offset of a file: what a full disk does to it."""
    for pid in family(process.pid):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_a_disk_that_is_full_for_a_while_loses_nothing(tmp_path: Path) -> None:
    file = tmp_path / "service.db"
    environment = {
        "SCREENING_SECRET": SECRET,
        "SCREENING_DATABASE": f"sqlite:///{file}",
        "SCREENING_SPOOL": str(tmp_path / "spool"),
        "SCREENING_LEASE_SECONDS": "2",
        "SCREENING_WORKERS": "1",
    }
    key = key_for(environment)
    running = Running(environment=environment)
    send: Callable[[str], tuple[int, Any]] = lambda id_: running.ask("/v1/conversations", CHAT | {"id": id_}, key)  # noqa: E731
    try:
        n = 4000
        assert upload(running, key, n)[0] == 202
        assert send("first")[0] == 201
        until(lambda: job_state(running, key)[1] > 0)
        limit_files(running.process, 0)
        status, answer = send("second")
        assert (status, answer["error"]["code"]) == (507, "no_room")
        assert "disk" in answer["error"]["message"]
        status, body = upload(running, key, 10)
        assert (status, b'"no_room"' in body) == (507, True)
        time.sleep(1)  # what was under way has failed by now
        state, done = job_state(running, key)
        time.sleep(1)
        assert (state, job_state(running, key)) == ("running", ("running", done))
        assert running.ask("/v1/conversations/first?masked=true", token=key)[0] == 200  # a raw view is audited
        assert running.ask("/v1/screen", CHAT | {"id": "x"}, key)[0] == 200
        assert send("second")[0] == 507
        assert [path.name for path in (tmp_path / "spool").iterdir() if path.suffix == ".part"] == []

        limit_files(running.process, resource.RLIM_INFINITY)
        assert send("second")[0] == 201
        until(lambda: job_state(running, key) == ("done", n))
    finally:
        running.stop()
    assert counts(f"sqlite:///{file}") == [n + 2] * 3
    with closing(sqlite3.connect(file)) as plain:
        assert plain.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_rules_published_under_load_drop_no_request_and_reach_the_workers(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'service.db'}"
    environment = {
        "SCREENING_SECRET": SECRET,
        "SCREENING_DATABASE": database,
        "SCREENING_SPOOL": str(tmp_path / "spool"),
        "SCREENING_WORKERS": "1",
        "SCREENING_LOG_LEVEL": "error",
    }
    key = key_for(environment)
    leads = {"anna": "correct horse battery", "ben": "staple of many words"}
    store = Store(database)
    with store.write() as session:
        for name, password in leads.items():
            users.put(session, name=name, password=password, role="lead", by="test", at=system_clock())
    store.close()
    running = Running(environment=environment)
    answers: list[tuple[int, str]] = []
    over = threading.Event()

    def send() -> None:
        while not over.is_set():
            status, body = running.ask("/v1/screen", CHAT | {"id": "x"}, key)
            answers.append((status, body["versions"]["lexicon"] if status == 200 else str(body)))

    threads = [threading.Thread(target=send) for _ in range(3)]
    try:
        tokens = {
            name: running.ask("/v1/login", {"name": name, "password": password})[1]["token"] for name, password in leads.items()
        }
        until(lambda: running.ask("/readyz")[0] == 200)
        shipped = running.ask("/v1/rules", token=tokens["anna"])[1]["lexicon"]
        for thread in threads:
            thread.start()
        status, made = running.ask("/v1/rules/versions", {"title": "柜台", "rules": [COUNTER]}, tokens["anna"])
        assert status == 201, made
        path = f"/v1/rules/versions/{made['id']}"
        assert running.ask(f"{path}/shadow", token=tokens["anna"], method="POST")[0] == 200
        assert running.ask(f"{path}/publish", token=tokens["ben"], method="POST")[0] == 200
        until(lambda: answers[-1] == (200, made["lexicon"]))
        assert upload(running, key, 3)[0] == 202
        until(lambda: job_state(running, key) == ("done", 3))
        stored = running.ask("/v1/conversations/c-0", token=key)[1]
        assert stored["screening"]["versions"]["lexicon"] == made["lexicon"]
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
        running.stop()
    assert {status for status, _ in answers} == {200}
    assert {shipped, made["lexicon"]} <= {lexicon for _, lexicon in answers}
