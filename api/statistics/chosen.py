"""What statistics are narrowed by: a period, whose conversations, which state of an incident."""

from typing import Any, Literal, NamedTuple

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from api.access import Principal, scoped
from api.clock import SECOND
from api.errors import ApiError
from api.store.tables import StoredCandidate
from api.store.tables_measures import Measures

State = Literal["found", "confirmed", "waiting"]
LONGEST_DAYS = 366
_DAY = 86_400 * SECOND


class Chosen(NamedTuple):
    """Half-open in microseconds. `found` is what nobody rejected, `waiting` what nobody decided."""

    start: int
    end: int
    vendor_id: str | None = None
    agent_id: str | None = None
    channel: str | None = None
    state: State = "found"

    def checked(self) -> "Chosen":
        """Itself; raises 422 where the period is empty or too long to count."""
        if self.end <= self.start:
            raise ApiError(422, "invalid", "`until` lies before `since`", "/until")
        if self.end - self.start > (LONGEST_DAYS + 1) * _DAY:
            raise ApiError(422, "invalid", f"the period is longer than {LONGEST_DAYS} days; choose a shorter one", "/since")
        return self


def incidents(statement: Select[*tuple[Any, ...]], chosen: Chosen, principal: Principal) -> Select[*tuple[Any, ...]]:
    """The statement over the candidates that are meant, one vendor's where the principal is bound to it."""
    table = StoredCandidate
    confirmed = (table.status == "decided") & (table.decided_verdict == "confirmed")
    waiting = table.status.in_(("open", "claimed"))
    unsure = (table.status == "decided") & (table.decided_verdict == "unsure")
    meant: ColumnElement[bool] = {
        "found": or_(waiting, confirmed, unsure),
        "confirmed": confirmed,
        "waiting": waiting,
    }[chosen.state]
    return _narrowed(statement.where(meant), chosen, principal, table)


def conversations(statement: Select[*tuple[Any, ...]], chosen: Chosen, principal: Principal) -> Select[*tuple[Any, ...]]:
    """The statement over the figures of the conversations that are meant."""
    return _narrowed(statement, chosen, principal, Measures)


def _narrowed(
    statement: Select[*tuple[Any, ...]], chosen: Chosen, principal: Principal, table: type[StoredCandidate] | type[Measures]
) -> Select[*tuple[Any, ...]]:
    equal: list[tuple[InstrumentedAttribute[Any], str | None]] = [
        (table.vendor_id, chosen.vendor_id),
        (table.agent_id, chosen.agent_id),
        (table.channel, chosen.channel),
    ]
    statement = statement.where(table.occurred_at >= chosen.start, table.occurred_at < chosen.end)
    for column, value in equal:
        if value is not None:
            statement = statement.where(column == value)
    return scoped(statement, principal, table.vendor_id)


def latest(session: Session, principal: Principal) -> int | None:
    """When the last conversation with figures occurred."""
    return session.scalar(scoped(select(func.max(Measures.occurred_at)), principal, Measures.vendor_id))
