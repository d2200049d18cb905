import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from api import wiring
from api.clock import system_clock
from api.jobs import leases, worker
from api.settings import Settings
from api.store import migrations
from api.store.tables import Revision, StoredConversation, StoredFlag, StoredScreening
from api.store.tables_jobs import Job, JobItem
from api.wiring import Service
from screening.pipeline import Screener
from tests.conftest import ON_POSTGRES, SECRET
from tests.test_jobs import RUDE, count, errors_of, job_of, line, upload_job

SECONDS = 60


@pytest.fixture
def service(database: str, tmp_path: Path, screener: Screener) -> Iterator[Service]:
    """On the machine's own clock: other processes share the store."""
    settings = Settings(secret=SECRET, database=database, spool=tmp_path / "spool", workers=0, lease_seconds=2)
    made = wiring.build(settings, system_clock)
    made.engine.swap(screener)
    yield made
    made.store.close()


def start(service: Service) -> "subprocess.Popen[bytes]":
    """`screening worker` as an operator starts it."""
    settings = service.settings
    given = {
        "SCREENING_SECRET": SECRET,
        "SCREENING_DATABASE": settings.database,
        "SCREENING_SPOOL": str(settings.spool),
        "SCREENING_LEASE_SECONDS": str(settings.lease_seconds),
    }
    command = [sys.executable, "-m", "api.cli", "worker"]
    return subprocess.Popen(command, env=os.environ | given, stderr=subprocess.DEVNULL)


def until(done: Callable[[], bool], seconds: float = SECONDS) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.02)


def stored(service: Service) -> int:
    return count(service, StoredConversation)


def check_once(service: Service, job_id: int, n: int) -> None:
    """Every conversation, revision and screening is there exactly once, and the job counted each once."""
    job = job_of(service, job_id)
    assert (job.state, job.total, job.done, job.refused, json.loads(job.counts)) == ("done", n, n, 0, {"created": n})
    assert errors_of(service, job_id) == []
    assert [count(service, table) for table in (StoredConversation, Revision, StoredScreening)] == [n, n, n]
    with service.store.read() as session:
        numbered = select(StoredFlag.screening_id, func.count(), func.max(StoredFlag.n) + 1).group_by(StoredFlag.screening_id)
        assert all(row[1] == row[2] for row in session.execute(numbered))
        assert session.scalar(select(func.count(JobItem.id)).where(JobItem.state != "done")) == 0


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_loses_nothing_and_doubles_nothing(service: Service) -> None:
    n = 6000
    job_id = upload_job(service, b"\n".join(line(i, RUDE if i % 3 else "您好") for i in range(n)))
    kills = 0
    for enough in (1, n // 4, n // 2):
        process = start(service)
        until(lambda enough=enough: stored(service) >= enough or job_of(service, job_id).state == "done")
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += job_of(service, job_id).state != "done"
    assert kills == 3, "the job was over before the worker was killed"
    assert 0 < stored(service) < n
    process = start(service)
    until(lambda: job_of(service, job_id).state == "done")
    process.terminate()
    assert process.wait(SECONDS) == 0
    check_once(service, job_id, n)


@pytest.mark.slow
def test_a_worker_told_to_stop_ends_its_block_and_hands_the_rest_on(service: Service) -> None:
    n = 4000
    job_id = upload_job(service, b"\n".join(line(i) for i in range(n)))
    process = start(service)
    until(lambda: stored(service) > 0)
    process.terminate()
    assert process.wait(SECONDS) == 0
    with service.store.read() as session:
        states = set(session.scalars(select(JobItem.state).where(JobItem.job_id == job_id)))
    assert "leased" not in states
    worker.drain(service)
    check_once(service, job_id, n)


def test_two_workers_share_a_job_without_doing_anything_twice(service: Service, screener: Screener) -> None:
    n = 2400
    job_id = upload_job(service, b"\n".join(line(i, RUDE) for i in range(n)))
    stopping, services = threading.Event(), [service]
    for _ in range(1):
        other = wiring.build(service.settings, system_clock)
        other.engine.swap(Screener(screener.lexicon))
        services.append(other)
    threads = [threading.Thread(target=worker.run, args=(one, stopping)) for one in services]
    for thread in threads:
        thread.start()
    until(lambda: job_of(service, job_id).state in ("done", "failed"))
    stopping.set()
    for thread in threads:
        thread.join()
    services[1].store.close()
    check_once(service, job_id, n)
    with service.store.read() as session:
        workers = session.execute(
            select(JobItem.worker, func.count()).where(JobItem.job_id == job_id, JobItem.n > 0).group_by(JobItem.worker)
        ).all()
    assert len(workers) == 2, workers


def test_many_claims_at_once_give_each_block_to_one_worker(service: Service) -> None:
    upload_job(service, b"\n".join(line(i) for i in range(4000)))
    assert worker.step(service, "planner", worker.NEVER)
    taken: list[tuple[str, int]] = []
    start_line = threading.Barrier(4)

    def take(name: str) -> None:
        start_line.wait()
        while lease := leases.claim(service.store, name, system_clock(), 60_000_000):
            taken.append((name, lease.item_id))

    threads = [threading.Thread(target=take, args=(f"w{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [item for _, item in taken]
    assert len(ids) == len(set(ids)) == 20
    assert len({name for name, _ in taken}) > 1


def test_two_jobs_that_bring_the_same_conversations_store_each_once(service: Service, screener: Screener) -> None:
    data = b"\n".join(line(i, RUDE) for i in range(1200))
    jobs = [upload_job(service, data), upload_job(service, data)]
    other = wiring.build(service.settings, system_clock)
    other.engine.swap(Screener(screener.lexicon))
    stopping = threading.Event()
    threads = [threading.Thread(target=worker.run, args=(one, stopping)) for one in (service, other)]
    for thread in threads:
        thread.start()
    until(lambda: all(job_of(service, job_id).state == "done" for job_id in jobs))
    stopping.set()
    for thread in threads:
        thread.join()
    other.store.close()
    counts = [json.loads(job_of(service, job_id).counts) for job_id in jobs]
    assert sum(one.get("created", 0) for one in counts) == 1200
    assert sum(one.get("unchanged", 0) for one in counts) == 1200
    assert [count(service, table) for table in (StoredConversation, Revision, StoredScreening)] == [1200] * 3


def test_a_store_that_is_away_for_a_while_costs_no_attempt(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = upload_job(service, b"\n".join(line(i) for i in range(50)))
    complete, failures = leases.complete, 5

    def away(*args: object) -> Job:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise OperationalError("COMMIT", {}, OSError("the disk is full"))
        return complete(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(leases, "complete", away)
    monkeypatch.setattr(worker, "_AWAY_SECONDS", (0.01, 0.02))
    stopping = threading.Event()
    thread = threading.Thread(target=worker.run, args=(service, stopping))
    thread.start()
    until(lambda: job_of(service, job_id).state == "done")
    stopping.set()
    thread.join()
    check_once(service, job_id, 50)


def cut_off(service: Service) -> int:
    """End every other connection to the database, as a restart of the server does; how many there were."""
    with service.store.engine.connect() as connection:
        ended = connection.exec_driver_sql(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"
        )
        return ended.scalar_one()


@pytest.mark.parametrize("database", [ON_POSTGRES], indirect=True)
def test_connections_that_break_in_the_middle_lose_and_double_nothing(
    service: Service, screener: Screener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_AWAY_SECONDS", (0.01, 0.05))
    job_id = upload_job(service, b"\n".join(line(i, RUDE) for i in range(3000)))
    other = wiring.build(service.settings, system_clock)
    other.engine.swap(Screener(screener.lexicon))
    stopping = threading.Event()
    thread = threading.Thread(target=worker.run, args=(other, stopping))
    thread.start()
    ended = 0
    while ended < 5 and job_of(service, job_id).state != "done":
        ended += cut_off(service)
        time.sleep(0.05)
    until(lambda: job_of(service, job_id).state in ("done", "failed"))
    stopping.set()
    thread.join()
    other.store.close()
    assert ended >= 3
    check_once(service, job_id, 3000)


def test_a_worker_waits_for_the_tables(tmp_path: Path, screener: Screener) -> None:
    settings = Settings(secret=SECRET, database=f"sqlite:///{tmp_path / 'new.db'}", workers=0)
    made = wiring.build(settings, system_clock)
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(worker.await_tables(made, threading.Event())))
    thread.start()
    time.sleep(0.2)
    assert thread.is_alive()
    migrations.upgrade(made.store)
    thread.join(SECONDS)
    assert found == [True]
    stopping = threading.Event()
    stopping.set()
    assert not worker.await_tables(made, stopping)
    made.store.close()


def test_the_command_refuses_unusable_settings() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SCREENING_")}
    command = [sys.executable, "-m", "api.cli", "worker"]
    for given, message in (({}, "secret"), ({"SCREENING_SECRET": SECRET, "SCREENING_DATABASE": "mysql://x/y"}, "mysql")):
        done = subprocess.run(command, env=environment | given, capture_output=True, text=True, timeout=SECONDS, check=False)
        assert (done.returncode, message in done.stderr, "Traceback" in done.stderr) == (2, True, False), done.stderr


@pytest.mark.slow
def test_the_supervisor_replaces_a_dead_worker_and_stops_them_all(service: Service) -> None:
    stopping = threading.Event()
    thread = threading.Thread(target=worker.supervise, args=(service.settings, 1, stopping))
    thread.start()
    until(lambda: len(multiprocessing.active_children()) == 1)
    (first,) = multiprocessing.active_children()
    job_id = upload_job(service, b"\n".join(line(i) for i in range(3000)))
    until(lambda: stored(service) > 0)
    first.kill()
    until(lambda: job_of(service, job_id).state == "done")
    check_once(service, job_id, 3000)
    (second,) = multiprocessing.active_children()
    assert second.pid != first.pid
    stopping.set()
    thread.join(SECONDS)
    assert not thread.is_alive()
    assert second.exitcode == 0
