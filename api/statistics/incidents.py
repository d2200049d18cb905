"""Incidents over time, by clause, vendor and agent, by hour and weekday."""

from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta, tzinfo
from typing import Any, NamedTuple

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from api.access import Principal
from api.clock import SECOND, to_datetime
from api.statistics.chosen import Chosen, incidents
from api.store.tables import LEVELS, StoredCandidate

TOP = 20
_BUCKET = 900 * SECOND  # every zone's offset is whole in quarters of an hour
_level = func.coalesce(StoredCandidate.decided_level, StoredCandidate.level)


class Bar(NamedTuple):
    """Incidents of one vendor, agent or clause (None: not known) by level."""

    name: str | None
    standard: str | None
    levels: dict[str, int]

    @property
    def total(self) -> int:
        """Of all levels."""
        return sum(self.levels.values())


class Incidents(NamedTuple):
    """`days` has every day of the period, `hours` a row for each weekday from Monday on; `agents` the `TOP` of `agent_count`."""

    total: int
    days: list[tuple[date, dict[str, int]]]
    hours: list[list[int]]
    clauses: list[Bar]
    vendors: list[Bar]
    agents: list[Bar]
    agent_count: int


def count(session: Session, chosen: Chosen, principal: Principal, zone: tzinfo) -> Incidents:
    """All counts; the level is the reviewer's where one decided."""
    days, hours = _times(session, chosen, principal, zone)
    agents = _bars(session, chosen, principal, StoredCandidate.agent_id)
    return Incidents(
        total=sum(sum(levels.values()) for _, levels in days),
        days=days,
        hours=hours,
        clauses=_bars(session, chosen, principal, StoredCandidate.clause, StoredCandidate.standard),
        vendors=_bars(session, chosen, principal, StoredCandidate.vendor_id),
        agents=agents[:TOP],
        agent_count=len(agents),
    )


def _times(
    session: Session, chosen: Chosen, principal: Principal, zone: tzinfo
) -> tuple[list[tuple[date, dict[str, int]]], list[list[int]]]:
    """The database counts quarters of an hour; which day and hour these are is the zone's to say."""
    bucket = (StoredCandidate.occurred_at // _BUCKET).label("bucket")
    statement = incidents(select(bucket, _level, func.count()), chosen, principal).group_by(bucket, _level)
    first = to_datetime(chosen.start).astimezone(zone).date()
    last = to_datetime(chosen.end - 1).astimezone(zone).date()
    days = {first + timedelta(days=i): Counter[str]() for i in range((last - first).days + 1)}
    hours = [[0] * 24 for _ in range(7)]
    for place, level, number in session.execute(statement):
        at = to_datetime(int(place) * _BUCKET).astimezone(zone)
        day = min(max(at.date(), first), last)  # a period may begin within a quarter
        days[day][level] += number
        hours[at.weekday()][at.hour] += number
    return [(day, _by_level(levels.items())) for day, levels in days.items()], hours


def _bars(session: Session, chosen: Chosen, principal: Principal, *keys: Any) -> list[Bar]:
    statement: Select[*tuple[Any, ...]] = select(*keys, _level, func.count())
    found: dict[tuple[Any, ...], Counter[str]] = {}
    for *key, level, number in session.execute(incidents(statement, chosen, principal).group_by(*keys, _level)):
        found.setdefault(tuple(key), Counter())[level] += number
    bars = [Bar(key[0], key[1] if len(key) > 1 else None, _by_level(levels.items())) for key, levels in found.items()]
    return sorted(bars, key=lambda bar: (-bar.total, bar.name or "", bar.standard or ""))


def _by_level(levels: Iterable[tuple[str, int]]) -> dict[str, int]:
    return dict.fromkeys(LEVELS, 0) | dict(levels)
