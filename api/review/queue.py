"""Pages of the queue, and how many candidates a filter would leave."""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple, get_args

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.access import Principal
from api.errors import ApiError
from api.review.filters import Filters, Place, Status, matching, seen_by
from api.store.tables import CHANNELS, LEVELS, StoredCandidate, StoredConversation
from api.store.tables_access import User

COUNTED = 1_000
"""Counting stops here: a reviewer need not know whether 4,000 or 4,100 wait."""


class Item(NamedTuple):
    """A candidate with the id of its conversation and the name of who holds it or is to do it."""

    candidate: StoredCandidate
    external_id: str
    assignee: str | None


class Page(NamedTuple):
    """Items in the queue's order, and the cursor of what follows (None: that was all)."""

    items: list[Item]
    cursor: str | None


class _Cursor(msgspec.Struct, array_like=True):
    filters: str
    priority: float
    id: int


def page(session: Session, principal: Principal, filters: Filters, *, limit: int, cursor: str | None = None) -> Page:
    """One page of the queue; raises `ApiError` where the cursor is none of this query's. Candidates added meanwhile never shift it."""
    narrowed = seen_by(principal, filters)
    digest = hashlib.sha256(msgspec.json.encode(narrowed)).hexdigest()[:12]
    after = None if cursor is None else _place(cursor, digest)
    rows = session.scalars(matching(session, principal, narrowed, after).limit(limit + 1)).all()
    shown = rows[:limit]
    more = None
    if len(rows) > limit:
        more = base64.urlsafe_b64encode(msgspec.json.encode(_Cursor(digest, shown[-1].priority, shown[-1].id))).decode()
    return Page(items(session, shown), more)


def _place(cursor: str, digest: str) -> Place:
    try:
        found = msgspec.json.decode(base64.b64decode(cursor.encode(), altchars=b"-_", validate=True), type=_Cursor)
    except (binascii.Error, UnicodeError, msgspec.DecodeError):
        raise ApiError(422, "invalid", "cursor: not one that this service gave; start without it") from None
    if found.filters != digest or not 0 <= found.id < 2**63:
        raise ApiError(422, "invalid", "cursor: belongs to other filters; start without it")
    return found.priority, found.id


def items(session: Session, candidates: Sequence[StoredCandidate]) -> list[Item]:
    """The candidates with what stands in other tables."""
    conversations = _named(session, StoredConversation, {one.conversation_id for one in candidates})
    people = _named(session, User, {one.assignee_id for one in candidates if one.assignee_id is not None})
    return [
        Item(one, conversations[one.conversation_id], None if one.assignee_id is None else people[one.assignee_id])
        for one in candidates
    ]


def _named(session: Session, table: type[StoredConversation] | type[User], ids: Iterable[int]) -> dict[int, str]:
    name = StoredConversation.external_id if table is StoredConversation else User.name
    return {row[0]: row[1] for row in session.execute(select(table.id, name).where(table.id.in_(ids)))}


class Counts(NamedTuple):
    """How many candidates each value of a filter would leave, the other filters kept; counted up to `COUNTED` + 1."""

    total: int
    status: dict[str, int]
    level: dict[str, int]
    channel: dict[str, int]
    clause: dict[str, int]


def counts(session: Session, principal: Principal, filters: Filters) -> Counts:
    """The counts beside the queue's filters."""
    narrowed = seen_by(principal, filters)
    statuses = get_args(Status) if principal.vendor_id is None else ("decided",)

    def each(name: str, values: Iterable[str]) -> dict[str, int]:
        given = narrowed._asdict()
        return {value: _count(session, principal, Filters(**given | {name: value})) for value in values}

    return Counts(
        total=_count(session, principal, narrowed),
        status=each("status", statuses),
        level=each("level", LEVELS),
        channel=each("channel", CHANNELS),
        clause=each("clause", _clauses(session, narrowed.status)),
    )


def _count(session: Session, principal: Principal, filters: Filters) -> int:
    statement = matching(session, principal, filters).with_only_columns(StoredCandidate.id, maintain_column_froms=True)
    return session.scalar(select(func.count()).select_from(statement.limit(COUNTED + 1).subquery())) or 0


def _clauses(session: Session, status: str) -> list[str]:
    """The clauses in the queue, each found by one step in the index instead of a walk over all candidates."""
    own = StoredCandidate.status == status
    first = select(func.min(StoredCandidate.clause).label("clause")).where(own).cte("clauses", recursive=True)
    following = select(func.min(StoredCandidate.clause)).where(own, StoredCandidate.clause > first.c.clause)
    steps = first.union_all(select(following.correlate(first).scalar_subquery()).where(first.c.clause.is_not(None)))
    return [clause for clause in session.scalars(select(steps.c.clause)) if clause is not None]
