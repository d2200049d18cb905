"""Jobs as requests see them: made, found, cancelled; what became of their inputs."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from api import audit
from api.access import Principal, scoped
from api.clock import SECOND
from api.errors import conflict, not_found
from api.jobs import leases
from api.jobs.leases import PLANNING
from api.store.tables_jobs import Job, JobError, JobItem

FINISHED = ("done", "failed", "cancelled")


def create(session: Session, kind: str, parameters: msgspec.Struct, principal: Principal, at: int) -> Job:
    """Add a job that workers take up as soon as the session commits. It reaches no further than who asks for it."""
    job = Job(
        kind=kind,
        state="queued",
        parameters=msgspec.json.encode(parameters).decode(),
        created_by=principal.actor,
        vendor_id=principal.vendor_id,
        done=0,
        refused=0,
        created_at=at,
    )
    session.add(job)
    session.flush()
    session.add(JobItem(job_id=job.id, n=PLANNING, state="queued", first=0, last=0, count=0, updated_at=at))
    audit.record(session, at=at, actor=principal.actor, action="job.create", subject=f"job {job.id}", detail={"kind": kind})
    return job


def find(session: Session, job_id: int, principal: Principal, *, lock: bool = False) -> Job:
    """A job that the principal may see: with `jobs` all of his vendor's, else those he made himself. Raises 404."""
    statement = scoped(select(Job).where(Job.id == job_id), principal, Job.vendor_id)
    if lock:
        statement = statement.with_for_update()
    job = session.scalars(statement).first()
    if job is None or not ("jobs" in principal.actions or job.created_by == principal.actor):
        raise not_found(f"job {job_id}")
    return job


def page(
    session: Session, principal: Principal, *, state: str | None, kind: str | None, before: int | None, limit: int
) -> Sequence[Job]:
    """Jobs from the newest on, older than the one with the id `before`."""
    statement = scoped(select(Job), principal, Job.vendor_id).order_by(Job.id.desc()).limit(limit)
    if "jobs" not in principal.actions:
        statement = statement.where(Job.created_by == principal.actor)
    if state is not None:
        statement = statement.where(Job.state == state)
    if kind is not None:
        statement = statement.where(Job.kind == kind)
    if before is not None:
        statement = statement.where(Job.id < before)
    return session.scalars(statement).all()


def errors(session: Session, job: Job, *, after: int, limit: int) -> Sequence[JobError]:
    """The refused inputs of a job beyond the error with the id `after`."""
    statement = select(JobError).where(JobError.job_id == job.id, JobError.id > after)
    return session.scalars(statement.order_by(JobError.id).limit(limit)).all()


def cancel(session: Session, job: Job, principal: Principal, at: int) -> None:
    """End a job: what is stored stays, nothing is added any more. Its row must be locked; raises 409 where it is over."""
    if job.state in FINISHED:
        raise conflict("job_over", f"job {job.id} is {job.state} already")
    leases.drop(session, job, "cancelled", at)
    session.flush()
    audit.record(session, at=at, actor=principal.actor, action="job.cancel", subject=f"job {job.id}")


def rate(job: Job, now: int) -> float | None:
    """Inputs a second since the first block was taken; None before."""
    if job.started_at is None:
        return None
    end = now if job.finished_at is None else job.finished_at
    seconds = (end - job.started_at) / SECOND
    return round((job.done + job.refused) / seconds, 1) if seconds > 0 else None
