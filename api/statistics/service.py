"""How long customers waited against the thresholds in force, and satisfaction, answer and solve rates against the standards."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from api.access import Principal
from api.statistics.chosen import Chosen, conversations
from api.store.tables import CHANNELS
from api.store.tables_measures import Measures
from lexicons.load import Lexicon
from screening.intervals import wilson
from screening.profile import Limit

EDGES = (0, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
"""Seconds where the bars of a distribution begin; the last one is open."""
_RESPONSES = (("response.slow_first", Measures.first_seconds), ("response.slow", Measures.mean_seconds))
_TARGETS = (
    ("satisfied", "tencent-zhongchuang", "phone-satisfaction", "phone"),
    ("satisfied", "tencent-zhongchuang", "online-satisfaction", "online"),
    ("satisfied", "ecommerce-service-manual", "satisfaction", None),
    ("answered", "tencent-zhongchuang", "phone-answer-rate", "phone"),
    ("solved", "ecommerce-service-manual", "solved-rate", None),
)
"""What is measured, the standard and its ledger rule that set the least share, the channel it is for (None: all)."""


class Distribution(NamedTuple):
    """Conversations by seconds, one count an edge; `over` counts those beyond each threshold (seconds, who sets it)."""

    signal: str
    channel: str
    counts: list[int]
    total: int
    limits: list[tuple[float, str]]
    over: list[int]


class Rate(NamedTuple):
    """`hits` of `total` conversations against the least share (in percent) that a standard's ledger rule sets."""

    measure: str
    channel: str | None
    standard: str
    rule: str
    title: str
    target: float
    hits: int
    total: int

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of the share."""
        return wilson(self.hits, self.total)


Limits = dict[tuple[str, Any], tuple[Limit, ...]]


def responses(session: Session, chosen: Chosen, principal: Principal, limits: Limits) -> list[Distribution]:
    """One distribution for each kind of response and channel that has times."""
    found = []
    for signal, column in _RESPONSES:
        for channel in CHANNELS:
            if chosen.channel in (None, channel):
                set_ = sorted({(limit.value, limit.source) for limit in limits.get((signal, channel), ())})
                found.append(_distribution(session, chosen._replace(channel=channel), principal, signal, column, set_))
    return [one for one in found if one.total]


def _distribution(
    session: Session,
    chosen: Chosen,
    principal: Principal,
    signal: str,
    column: InstrumentedAttribute[float | None],
    limits: Sequence[tuple[float, str]],
) -> Distribution:
    bars = [_between(column, low, high) for low, high in zip(EDGES, (*EDGES[1:], None), strict=True)]
    counted = [*bars, func.count(column), *(_sum(column > value) for value, _ in limits)]
    row = [int(one or 0) for one in session.execute(conversations(select(*counted), chosen, principal)).one()]
    size = len(EDGES)
    return Distribution(signal, str(chosen.channel), row[:size], row[size], list(limits), row[size + 1 :])


def _between(column: InstrumentedAttribute[float | None], low: float, high: float | None) -> ColumnElement[int]:
    return _sum(column >= low if high is None else (column >= low) & (column < high))


def _sum(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))


def rates(session: Session, chosen: Chosen, principal: Principal, lexicon: Lexicon) -> list[Rate]:
    """Every target of the standards that conversations' figures can be held against, in the standards' order."""
    table = Measures
    counted = {
        "satisfied": (_sum(table.rating == "satisfied"), func.count(table.rating)),
        "answered": (_sum(table.answered.is_(True)), func.count(table.answered)),
        "solved": (_sum(table.solved.is_(True)), func.count(table.solved)),
    }
    columns = [one for pair in counted.values() for one in pair]
    statement = conversations(select(table.channel, *columns), chosen, principal).group_by(table.channel)
    by_channel = {row[0]: [int(one or 0) for one in row[1:]] for row in session.execute(statement)}
    found = []
    for measure, standard, rule, channel in _TARGETS:
        if chosen.channel not in (None, channel) and channel is not None:
            continue
        ledger = next((one for one in lexicon.standards[standard].ledger if one.id == rule), None)
        if ledger is None or ledger.value is None:
            continue
        place = 2 * list(counted).index(measure)
        rows = [row for name, row in by_channel.items() if channel in (None, name)]
        hits, total = sum(row[place] for row in rows), sum(row[place + 1] for row in rows)
        found.append(Rate(measure, channel, standard, rule, ledger.title, ledger.value, hits, total))
    return found
