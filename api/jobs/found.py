"""What a job brought: the conversations that it screened, with what stands in the queue for them now."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from api.access import Principal, scoped
from api.store.bodies import Bodies
from api.store.tables import StoredCandidate, StoredConversation, StoredScreening
from api.store.tables_jobs import Job, JobItem

_ids = msgspec.json.Decoder(list[int])


class Found(NamedTuple):
    """A conversation as its latest screening says; `waiting` counts its candidates that nobody decided."""

    conversation_id: str
    vendor_id: str | None
    agent_id: str | None
    level: str | None
    incomplete: bool
    waiting: int


def packed(screenings: Sequence[int]) -> bytes:
    """The screenings that a block led to, as its result; row numbers tell no text, so no key is needed."""
    return Bodies().pack(msgspec.json.encode(sorted(screenings)))


def page(
    session: Session, bodies: Bodies, job: Job, principal: Principal, *, flagged: bool, after: int, limit: int
) -> tuple[list[Found], int | None]:
    """Conversations of whole blocks beyond block `after` until there are `limit` or more, and the last block (None: that was all)."""
    blocks = select(JobItem.n, JobItem.body).where(JobItem.job_id == job.id, JobItem.state == "done", JobItem.n > max(after, 0))
    found: list[Found] = []
    for n, body in session.execute(blocks.order_by(JobItem.n).execution_options(yield_per=10)):
        if body is None:
            continue
        found += _latest(session, _ids.decode(bodies.unpack(body)), principal, flagged)
        if len(found) >= limit:
            return found, n
    return found, None


def _latest(session: Session, screenings: Sequence[int], principal: Principal, flagged: bool) -> list[Found]:
    latest = aliased(StoredScreening)
    waiting = (
        select(func.count())
        .where(StoredCandidate.conversation_id == StoredConversation.id, StoredCandidate.status.in_(("open", "claimed")))
        .correlate(StoredConversation)
        .scalar_subquery()
    )
    statement = (
        select(
            StoredConversation.external_id,
            StoredConversation.vendor_id,
            StoredConversation.agent_id,
            latest.level,
            latest.incomplete,
            waiting,
        )
        .select_from(StoredScreening)
        .join(StoredConversation, StoredConversation.id == StoredScreening.conversation_id)
        .join(latest, (latest.conversation_id == StoredConversation.id) & latest.latest)
        .where(StoredScreening.id.in_(screenings))
        .order_by(latest.level.is_(None), latest.level, StoredConversation.id)
    )
    if flagged:
        statement = statement.where(latest.level.is_not(None) | latest.incomplete)
    return [Found(*row) for row in session.execute(scoped(statement, principal, StoredConversation.vendor_id))]
