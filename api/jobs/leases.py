"""Blocks under leases: who takes a block holds it for a while, and only who holds it can end it.

A lease is recognised by the worker's name and the number of the attempt, so a worker that was thought dead changes nothing any
more. Locks are taken in one order, the job before its blocks.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import msgspec
from sqlalchemy import ColumnElement, CursorResult, Result, Select, and_, exists, func, insert, or_, select, update
from sqlalchemy.orm import Session

from api.jobs.kind import Block, Outcome, Refusal
from api.store.bodies import Bodies
from api.store.engine import Store
from api.store.tables_jobs import Job, JobError, JobItem

PLANNING = 0
"""The number of the block that stands for planning."""
UNFINISHED = ("queued", "leased")
_MESSAGE, _EXTERNAL_ID = 2000, 200


class LeaseLostError(RuntimeError):
    """The block was taken by another worker, or its job was cancelled; nothing of it may be written."""


class Lease(NamedTuple):
    """A block in work. `body`: its inputs, packed; `last`: how far planning came."""

    item_id: int
    job_id: int
    n: int
    worker: str
    attempt: int
    last: int
    body: bytes | None
    kind: str
    parameters: str
    vendor_id: str | None


def claim(store: Store, worker: str, at: int, length: int) -> Lease | None:
    """Take the oldest block that nobody holds, for `length` microseconds; None where there is none."""
    statements = [_claimable(at, length, abandoned=abandoned) for abandoned in (True, False)]
    with store.read() as session:  # an idle worker takes no lock
        if all(session.scalars(statement).first() is None for statement in statements):
            return None
    with store.write() as session:
        found = (session.scalars(statement.with_for_update(skip_locked=True)).first() for statement in statements)
        item = next((item for item in found if item is not None), None)
        if item is None:
            return None
        item.state, item.worker, item.lease_until, item.updated_at = "leased", worker, at + length, at
        item.attempts += 1
        job = session.get_one(Job, item.job_id)
        lease = Lease(
            *(item.id, item.job_id, item.n, worker, item.attempts, item.last, item.body),
            *(job.kind, job.parameters, job.vendor_id),
        )
        begun = job.state != "queued"
    if not begun:  # apart, since the job's row comes before the block's in the order of locks
        with store.write() as session:
            session.execute(
                update(Job).where(Job.id == lease.job_id, Job.state == "queued").values(state="running", started_at=at)
            )
    return lease


def _claimable(at: int, length: int, *, abandoned: bool) -> Select[JobItem]:
    if abandoned:
        # A lease that ends further ahead than any could was given before the clock was set back.
        over = or_(JobItem.lease_until < at, JobItem.lease_until > at + 2 * length)
        return select(JobItem).where(JobItem.state == "leased", over).order_by(JobItem.lease_until).limit(1)
    return select(JobItem).where(JobItem.state == "queued", JobItem.lease_until.is_(None)).order_by(JobItem.id).limit(1)


def renew(store: Store, lease: Lease, until: int) -> bool:
    """Hold the block until then; False where it is lost."""
    with store.write() as session:
        held = session.execute(update(JobItem).where(_held(lease)).values(lease_until=until))
        return rows(held) == 1


def hand_back(session: Session, lease: Lease, at: int) -> None:
    """Let another worker have the block; the attempt does not count. Nothing happens where it is lost already."""
    values = {"state": "queued", "lease_until": None, "attempts": JobItem.attempts - 1, "updated_at": at}
    session.execute(update(JobItem).where(_held(lease)).values(values))


def plan(session: Session, lease: Lease, blocks: Sequence[Block], bodies: Bodies, at: int) -> None:
    """Add planned blocks and remember how far planning came; raises `LeaseLostError`."""
    job = _locked(session, lease)
    count = sum(len(block.inputs) + len(block.refusals) for block in blocks)
    _end(session, lease, {"last": blocks[-1].last, "count": JobItem.count + count, "updated_at": at})
    _add(session, job, [block for block in blocks if block.inputs], bodies, at)
    _refuse(session, job, [refusal for block in blocks for refusal in block.refusals], at)


def planned(session: Session, lease: Lease, at: int) -> Job:
    """All blocks are there; raises `LeaseLostError`."""
    job = _locked(session, lease)
    _end(session, lease, {"state": "done", "lease_until": None, "updated_at": at})
    job.total = session.scalars(select(JobItem.count).where(JobItem.id == lease.item_id)).one()
    return job


def complete(session: Session, lease: Lease, outcome: Outcome, at: int) -> Job:
    """The block is done; raises `LeaseLostError`."""
    job = _locked(session, lease)
    _end(session, lease, {"state": "done", "lease_until": None, "body": outcome.result, "updated_at": at})
    job.done += sum(outcome.counts.values())
    counts = msgspec.json.decode(job.counts, type=dict[str, int])
    for name, count in outcome.counts.items():
        counts[name] = counts.get(name, 0) + count
    job.counts = msgspec.json.encode(counts, order="sorted").decode()
    _refuse(session, job, outcome.refusals, at)
    return job


def part(session: Session, lease: Lease, inputs: Sequence[bytes], bodies: Bodies, at: int) -> None:
    """Make a block of each input, so that the one that spoils the block is found; raises `LeaseLostError`."""
    job = _locked(session, lease)
    item = session.get_one(JobItem, lease.item_id)
    _end(session, lease, {"state": "done", "lease_until": None, "count": 0, "body": None, "updated_at": at})
    _add(session, job, [Block([one], item.first, item.last, []) for one in inputs], bodies, at)


def give_up(session: Session, lease: Lease, refusal: Refusal, at: int) -> Job:
    """The block's only input cannot be done; raises `LeaseLostError`."""
    job = _locked(session, lease)
    _end(session, lease, {"state": "failed", "lease_until": None, "body": None, "error": refusal.message, "updated_at": at})
    _refuse(session, job, [refusal], at)
    return job


def fail(session: Session, lease: Lease, message: str, at: int) -> Job:
    """The job as a whole cannot be done; what was done stays. Raises `LeaseLostError`."""
    job = _locked(session, lease)
    error = printable(message, _MESSAGE)
    _end(session, lease, {"state": "failed", "lease_until": None, "body": None, "error": error, "updated_at": at})
    drop(session, job, "failed", at)
    job.error = error
    return job


def drop(session: Session, job: Job, state: str, at: int) -> None:
    """End a job in this state; its unfinished blocks are cancelled, and whoever works on one will find the lease lost."""
    unfinished = (JobItem.job_id == job.id) & JobItem.state.in_(UNFINISHED)
    values = {"state": "cancelled", "lease_until": None, "body": None, "updated_at": at}
    session.execute(update(JobItem).where(unfinished).values(values))
    job.state, job.finished_at = state, at


def all_done(session: Session, job: Job) -> bool:
    """Whether no block of the job is left; the job's row must be locked."""
    session.flush()
    return not session.scalar(select(exists().where(JobItem.job_id == job.id, JobItem.state.in_(UNFINISHED))))


def printable(text: str, length: int) -> str:
    """The text as any database can hold it."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)[:length]


def _held(lease: Lease) -> ColumnElement[bool]:
    return and_(
        JobItem.id == lease.item_id,
        JobItem.state == "leased",
        JobItem.worker == lease.worker,
        JobItem.attempts == lease.attempt,
    )


def _locked(session: Session, lease: Lease) -> Job:
    return session.get_one(Job, lease.job_id, with_for_update=True)


def _end(session: Session, lease: Lease, values: dict[str, Any]) -> None:
    changed = session.execute(
        update(JobItem).where(_held(lease)).values(values), execution_options={"synchronize_session": False}
    )
    if rows(changed) != 1:
        raise LeaseLostError(f"block {lease.n} of job {lease.job_id}")


def rows(result: Result[Any]) -> int:
    """How many rows a statement changed."""
    return cast("CursorResult[Any]", result).rowcount


def _add(session: Session, job: Job, blocks: Sequence[Block], bodies: Bodies, at: int) -> None:
    if not blocks:
        return
    n = session.scalars(select(func.max(JobItem.n)).where(JobItem.job_id == job.id)).one() + 1
    values = [
        {
            "job_id": job.id,
            "n": number,
            "state": "queued",
            "first": block.first,
            "last": block.last,
            "count": len(block.inputs),
            "body": bodies.pack(b"[" + b",".join(block.inputs) + b"]"),
            "attempts": 0,
            "updated_at": at,
        }
        for number, block in enumerate(blocks, n)
    ]
    session.execute(insert(JobItem), values)


def _refuse(session: Session, job: Job, refusals: Sequence[Refusal], at: int) -> None:
    if not refusals:
        return
    job.refused += len(refusals)
    values = [
        {
            "job_id": job.id,
            "place": refusal.place,
            "row": refusal.row,
            "external_id": None if refusal.external_id is None else printable(refusal.external_id, _EXTERNAL_ID),
            "code": refusal.code,
            "message": printable(refusal.message, _MESSAGE),
            "at": at,
        }
        for refusal in refusals
    ]
    session.execute(insert(JobError), values)
