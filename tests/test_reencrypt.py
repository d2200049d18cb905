import base64
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import select

from api import wiring
from api.jobs import records, reencrypt, worker
from api.settings import Settings
from api.store import search
from api.store.tables import Revision, StoredConversation, StoredScreening
from api.store.tables_jobs import JobItem
from api.wiring import Service
from screening.pipeline import Screener
from tests.conftest import SECRET, TurnedClock
from tests.test_jobs import LEAD, RUDE, errors_of, job_of, line, upload_job

KEYS = {name: base64.b64encode(bytes([i]) * 32).decode() for i, name in enumerate(("k1", "k2"), 1)}
Opened = Callable[..., Service]


@pytest.fixture
def opened(database: str, clock: TurnedClock, screener: Screener, tmp_path: Path) -> Iterator[Opened]:
    """The service over the one store, with these keys; the last one writes: `opened("k1", "k2")`, `opened(current=None)`."""
    with ExitStack() as closing:

        def made(*names: str, current: str | None = "last") -> Service:
            settings = Settings(
                secret=SECRET,
                database=database,
                spool=tmp_path / "spool",
                workers=0,
                encryption_keys={name: KEYS[name] for name in names},
                encryption_key=(names[-1] if names else None) if current == "last" else current,
            )
            service = wiring.build(settings, clock)
            service.engine.swap(screener)
            closing.callback(service.store.close)
            return service

        yield made


def run(service: Service) -> tuple[dict[str, int], int]:
    """A job that seals everything anew: its counts and how many it refused."""
    with service.store.write() as session:
        job_id = records.create(session, "reencrypt", reencrypt.Parameters(), LEAD, service.clock()).id
    worker.drain(service)
    job = job_of(service, job_id)
    assert (job.state, job.error) == ("done", None)
    return json.loads(job.counts), job.refused


def sealed_with(service: Service) -> set[str | None]:
    """The keys of all bodies in the store."""
    with service.store.read() as session:
        bodies = [
            body for column in (Revision.body, StoredScreening.body, JobItem.body) for body in session.scalars(select(column))
        ]
    return {service.bodies.key_of(body) for body in bodies if body is not None}


def texts(service: Service) -> list[bytes]:
    with service.store.read() as session:
        found = [*session.scalars(select(Revision.body)), *session.scalars(select(StoredScreening.body))]
    return sorted(map(service.bodies.unpack, found))


def found(service: Service, words: str) -> list[str]:
    with service.store.read() as session:
        wanted = Revision.id.in_(search.revisions(session, words))
        statement = select(StoredConversation.external_id).join(Revision, Revision.conversation_id == StoredConversation.id)
        return list(session.scalars(statement.where(wanted).order_by(StoredConversation.id)))


def test_turned_on_changed_and_turned_off_again(opened: Opened) -> None:
    open_ = opened()
    upload_job(open_, b"\n".join(line(n, RUDE) for n in range(3)))
    worker.drain(open_)
    before = texts(open_)
    assert (sealed_with(open_), len(found(open_, "脑子"))) == ({None}, 3)

    first = opened("k1")
    assert run(first) == ({"resealed": 3}, 0)
    assert (sealed_with(first), texts(first), found(first, "脑子")) == ({"k1"}, before, [])
    assert run(first) == ({"unchanged": 3}, 0)

    upload_job(first, line(3))  # waits with its inputs under the old key
    assert worker.step(first, "planner", worker.NEVER)
    both = opened("k1", "k2")
    with both.store.write() as session:
        records.create(session, "reencrypt", reencrypt.Parameters(), LEAD, both.clock())
    assert sealed_with(both) == {"k1"}
    worker.drain(both)
    assert sealed_with(both) == {"k2"}
    assert len(texts(opened("k2"))) == 8

    off = opened("k2", current=None)
    assert run(off) == ({"resealed": 4}, 0)
    assert (sealed_with(off), len(texts(opened()))) == ({None}, 8)
    assert found(off, "脑子") == ["c-0", "c-1", "c-2"]
    assert run(off) == ({"unchanged": 4}, 0)


def test_inputs_of_other_jobs_are_sealed_anew(opened: Opened) -> None:
    first = opened("k1")
    waiting = upload_job(first, b"\n".join(line(n, RUDE) for n in range(2)))
    assert worker.step(first, "planner", worker.NEVER)
    both = opened("k1", "k2")
    with both.store.write() as session:  # as if another worker had the blocks
        for item in session.scalars(select(JobItem).where(JobItem.job_id == waiting, JobItem.n > 0)):
            item.state, item.lease_until = "leased", both.clock() + 1_000_000
    assert run(both) == ({}, 0)
    assert sealed_with(both) == {"k2"}
    with both.store.write() as session:
        for item in session.scalars(select(JobItem).where(JobItem.state == "leased")):
            item.state, item.lease_until = "queued", None
    alone = opened("k2")
    worker.drain(alone)
    assert (job_of(alone, waiting).state, job_of(alone, waiting).done) == ("done", 2)


def test_what_cannot_be_opened_is_named_and_stays(opened: Opened) -> None:
    first = opened("k1")
    upload_job(first, line(1, RUDE))
    worker.drain(first)
    lost = opened("k2")
    upload_job(lost, line(2))
    worker.drain(lost)
    assert run(lost) == ({"unchanged": 1}, 1)
    (error,) = errors_of(lost, 3)
    assert (error.code, error.external_id, "'k1'" in error.message) == ("unreadable", "c-1", True)
    assert sealed_with(lost) == {"k1", "k2"}
    assert run(opened("k1", "k2")) == ({"resealed": 1, "unchanged": 1}, 0)
    assert sealed_with(lost) == {"k2"}
