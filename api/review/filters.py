"""What the queue can be narrowed by, and statements that find the top of it fast on both databases.

Two ways lead to a page. Where a range or the words sought match few candidates, these are collected and sorted. Otherwise an index
that is already in the queue's order is walked from the top, which then soon meets a page.
"""

from typing import Any, Literal, NamedTuple

from sqlalchemy import ColumnElement, Select, UnaryExpression, func, literal, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.sql.operators import custom_op

from api.access import Principal, scoped
from api.store import search
from api.store.tables import CandidateSignal, StoredCandidate, StoredScreening

Status = Literal["open", "claimed", "decided", "outdated"]
FEW = 3_000
_LEADING = ("assignee_id", "agent_id", "signal", "vendor_id", "clause", "level", "channel")
"""From the most to the least selective; each has an index in the queue's order."""

Conditions = list[ColumnElement[bool]]
Place = tuple[float, int]
"""Priority and id of a candidate: its place in the queue."""


class Filters(NamedTuple):
    """All that is set must hold. Times are microseconds, half-open; scores closed; `words` are as in `search.revisions`."""

    status: Status = "open"
    assignee_id: int | None = None
    unassigned: bool = False
    agent_id: str | None = None
    signal: str | None = None
    vendor_id: str | None = None
    clause: str | None = None
    level: str | None = None
    channel: str | None = None
    occurred_from: int | None = None
    occurred_to: int | None = None
    score_from: float | None = None
    score_to: float | None = None
    words: str | None = None


def seen_by(principal: Principal, filters: Filters) -> Filters:
    """The filters as far as the principal may look: one vendor's people see their own decided candidates."""
    if principal.vendor_id is None:
        return filters
    return filters._replace(status="decided", vendor_id=principal.vendor_id)


def matching(session: Session, principal: Principal, filters: Filters, after: Place | None = None) -> Select[StoredCandidate]:
    """Selects matching candidates in the queue's order, those behind `after` only; raises `InputError` for too short words."""
    few = _few(session, filters)
    if few is None:
        return scoped(_walk(session, filters, after), principal, StoredCandidate.vendor_id)
    found = (
        scoped(select(StoredCandidate.id, StoredCandidate.priority).where(*few), principal, StoredCandidate.vendor_id)
        .cte("few")
        .prefix_with("MATERIALIZED")
    )
    place = (found.c.priority, found.c.id)
    statement = select(StoredCandidate).join(found, found.c.id == StoredCandidate.id)
    # again, because a writer that waited for the row must see what it has become
    statement = statement.where(*_standing(session, filters, beside=True))
    if after is not None:
        statement = statement.where(tuple_(*place) < tuple_(*map(literal, after)))
    return statement.order_by(*(column.desc() for column in place))


def _walk(session: Session, filters: Filters, after: Place | None) -> Select[StoredCandidate]:
    leading = next((name for name in _LEADING if getattr(filters, name) is not None), None)
    statement = select(StoredCandidate)
    place: tuple[InstrumentedAttribute[Any], ...] = (StoredCandidate.priority, StoredCandidate.id)
    if leading == "signal":
        place = (CandidateSignal.priority, CandidateSignal.candidate_id)
        signals = [CandidateSignal.signal == filters.signal, CandidateSignal.status == _word(filters.status)]
        statement = statement.join(CandidateSignal, CandidateSignal.candidate_id == StoredCandidate.id).where(*signals)
    statement = statement.where(
        *_standing(session, filters, beside=leading == "signal"),
        *_equal(session, filters, leading),
        *_ranges(session, filters, None),
    )
    if filters.words is not None:
        statement = statement.where(_holds(session, filters.words))
    if after is not None:
        statement = statement.where(tuple_(*place) < tuple_(*map(literal, after)))
    return statement.order_by(*(column.desc() for column in place))


def _few(session: Session, filters: Filters) -> Conditions | None:
    """The conditions where those on words, time or score alone leave few candidates, led by that; else None."""
    if filters.words is not None:
        revisions = search.revisions(session, filters.words)
        if _at_most_few(session, revisions):
            screenings = select(StoredScreening.id).where(StoredScreening.revision_id.in_(revisions))
            leading: Conditions = [StoredCandidate.screening_id.in_(screenings)]
            return [
                *leading,
                *_standing(session, filters, beside=True),
                *_equal(session, filters, ""),
                *_ranges(session, filters, None),
            ]
    for name in ("occurred", "score"):
        own = _range(filters, name)
        status = StoredCandidate.status == _word(filters.status)
        if own and _at_most_few(session, select(StoredCandidate.id).where(status, *own)):
            rest = [*_equal(session, filters, ""), *_ranges(session, filters, name), *_assignee(session, filters, beside=True)]
            return [status, *own, *rest, *([] if filters.words is None else [_holds(session, filters.words)])]
    return None


def _at_most_few(session: Session, statement: Select[Any]) -> bool:
    counted = session.scalar(select(func.count()).select_from(statement.limit(FEW + 1).subquery()))
    return (counted or 0) <= FEW


def _standing(session: Session, filters: Filters, *, beside: bool) -> Conditions:
    column = _beside(session, StoredCandidate.status) if beside else StoredCandidate.status
    return [column == _word(filters.status), *_assignee(session, filters, beside=beside)]


def _assignee(session: Session, filters: Filters, *, beside: bool) -> Conditions:
    column = _beside(session, StoredCandidate.assignee_id) if beside else StoredCandidate.assignee_id
    if filters.unassigned:
        return [column.is_(None)]
    return [] if filters.assignee_id is None else [column == filters.assignee_id]


def _equal(session: Session, filters: Filters, leading: str | None) -> Conditions:
    """What columns must hold; no other index than that of the leading one is used (a signal leads by its own table)."""
    conditions: Conditions = []
    for name in ("agent_id", "vendor_id", "clause", "level", "channel"):
        value = getattr(filters, name)
        if value is not None:
            column = getattr(StoredCandidate, name)
            conditions.append((column if name == leading else _beside(session, column)) == value)
    if filters.signal is not None and leading != "signal":
        own = select(CandidateSignal.signal).where(
            CandidateSignal.candidate_id == StoredCandidate.id, CandidateSignal.signal == filters.signal
        )
        conditions.append(own.exists())
    return conditions


def _ranges(session: Session, filters: Filters, leading: str | None) -> Conditions:
    names = [name for name in ("occurred", "score") if name != leading]
    return [condition for name in names for condition in _range(filters, name, session)]


def _range(filters: Filters, name: str, session: Session | None = None) -> Conditions:
    """The bounds of a range; with a session, no index is used for them."""
    own = StoredCandidate.occurred_at if name == "occurred" else StoredCandidate.score
    column: Any = own if session is None else _beside(session, own)
    low, high = getattr(filters, f"{name}_from"), getattr(filters, f"{name}_to")
    conditions: Conditions = [] if low is None else [column >= low]
    if high is not None:
        conditions.append(column < high if name == "occurred" else column <= high)
    return conditions


def _holds(session: Session, words: str) -> ColumnElement[bool]:
    """Whether the text of one candidate holds the words, asked row by row."""
    found = search.revisions(session, words)
    (revision,) = found.selected_columns
    of_candidate = select(StoredScreening.id).where(
        StoredScreening.id == StoredCandidate.screening_id,
        found.where(revision == StoredScreening.revision_id).correlate(StoredScreening).exists(),
    )
    return of_candidate.correlate(StoredCandidate).exists()


def _beside(session: Session, column: InstrumentedAttribute[Any]) -> Any:
    """The column, out of the sight of SQLite's planner: without statistics it may walk the wrong index."""
    if session.get_bind().dialect.name != "sqlite":
        return column
    return UnaryExpression(column.expression, operator=custom_op("+"), type_=column.type)


def _word(status: str) -> ColumnElement[str]:
    """The status as a literal, so that partial indexes are seen to fit."""
    return literal(status, literal_execute=True)
