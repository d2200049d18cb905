"""Work that outlives a request: jobs, their blocks of items with leases, and the inputs they refused."""

from sqlalchemy import CheckConstraint, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from api.store.base import Base, BigInt, Body, Id, Json, Name, Time, Word, one_of, refers_to

JOB_KINDS = ("ingest", "rescreen", "back_test", "reencrypt")
JOB_STATES = ("queued", "running", "done", "failed", "cancelled")
ITEM_STATES = ("queued", "leased", "done", "failed", "cancelled")


class Job(Base):
    """A piece of work. `total` counts its inputs and is null until all are known; `done` + `refused` reaches it.

    `parameters` is JSON of the kind, `counts` JSON of what came of the inputs.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(one_of("kind", *JOB_KINDS), name="kind"),
        CheckConstraint(one_of("state", *JOB_STATES), name="state"),
        Index(None, "state", "id"),
        Index(None, "vendor_id", "id"),
    )

    id: Mapped[Id]
    kind: Mapped[Word]
    state: Mapped[Word]
    parameters: Mapped[Json]
    created_by: Mapped[Name]
    vendor_id: Mapped[Name | None]
    total: Mapped[int | None]
    done: Mapped[int] = mapped_column(default=0)
    refused: Mapped[int] = mapped_column(default=0)
    counts: Mapped[Json] = mapped_column(default="{}")
    error: Mapped[str | None] = mapped_column(String(2000))
    created_at: Mapped[Time]
    started_at: Mapped[Time | None]
    finished_at: Mapped[Time | None]


class JobItem(Base):
    """Block `n` of a job: up to some hundred inputs that one worker does in one transaction, under a lease.

    `body` is the JSON array of the inputs (packed); when the block is done, it is dropped or holds the block's result. `first`
    and `last` are the places of its inputs. Block 0 stands for planning: reading the job's source and making the other blocks.
    """

    __tablename__ = "job_items"
    __table_args__ = (
        CheckConstraint(one_of("state", *ITEM_STATES), name="state"),
        UniqueConstraint("job_id", "n"),
        Index(None, "state", "lease_until", "id"),
        Index(None, "job_id", "state", "n"),
    )

    id: Mapped[Id]
    job_id: Mapped[int] = refers_to("jobs.id")
    n: Mapped[int]
    state: Mapped[Word]
    first: Mapped[int] = mapped_column(BigInt)
    last: Mapped[int] = mapped_column(BigInt)
    count: Mapped[int]
    body: Mapped[Body | None]
    worker: Mapped[Name | None]
    lease_until: Mapped[Time | None]
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None] = mapped_column(String(2000))
    updated_at: Mapped[Time]


class JobError(Base):
    """An input that a job refused, with the reason; never its text.

    `place` counts the inputs of the source from 1; `row` is the row in the file where the reader names one.
    """

    __tablename__ = "job_errors"
    __table_args__ = (Index(None, "job_id", "id"),)

    id: Mapped[Id]
    job_id: Mapped[int] = refers_to("jobs.id")
    place: Mapped[int] = mapped_column(BigInt)
    row: Mapped[int | None]
    external_id: Mapped[str | None] = mapped_column(String(200))
    code: Mapped[Word]
    message: Mapped[str] = mapped_column(String(2000))
    at: Mapped[Time]
