"""What the dashboard shows: incidents, response times and rates over a period."""

import math
from datetime import date, datetime, time, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from api import openapi, wiring
from api.access import Principal, require
from api.clock import from_datetime, to_datetime
from api.dependencies import ServiceDep
from api.errors import ApiError
from api.schemas import Text
from api.statistics import incidents
from api.statistics import service as services
from api.statistics.chosen import Chosen, State
from screening import profile as profiles

router = APIRouter(prefix="/v1", tags=["statistics"], responses=openapi.REFUSALS)
Level = Literal["A", "B", "C"]
_FIRST, _LAST = date(1990, 1, 1), date(2200, 1, 1)
Reviewer = Annotated[Principal, Depends(require("review"))]


class Period(BaseModel):
    """What is counted, half-open."""

    since: datetime
    until: datetime


class Day(BaseModel):
    """A day's incidents by level."""

    day: date
    levels: dict[Level, int]


class Share(BaseModel):
    """Incidents of a clause, vendor or agent by level; `name` is null where the conversation does not tell."""

    name: str | None
    standard: str | None
    title: str | None
    levels: dict[Level, int]


class IncidentCounts(Period):
    """`days` has every day; `hours` a row of 24 for each weekday from Monday on; `agents` the first of `agent_count`."""

    total: int
    days: list[Day]
    hours: list[list[int]]
    clauses: list[Share]
    vendors: list[Share]
    agents: list[Share]
    agent_count: int


class LimitView(BaseModel):
    """A threshold in seconds, who sets it, and how many conversations are beyond it."""

    value: float
    source: str
    over: int


class ResponseTimes(BaseModel):
    """How many conversations took so long; bar i begins at `edges[i]` seconds, the last one is open."""

    signal: str
    channel: str
    edges: list[int]
    counts: list[int]
    total: int
    limits: list[LimitView]


class RateView(BaseModel):
    """`hits` of `total` against the least share `target` (in percent); `low` and `high`: the 95 % Wilson interval in percent."""

    measure: Literal["satisfied", "answered", "solved"]
    channel: str | None
    standard: str
    rule: str
    title: str
    target: float
    hits: int
    total: int
    share: float | None
    low: float
    high: float


class ServiceLevels(Period):
    """Response times against the thresholds in force, rates against the standards."""

    responses: list[ResponseTimes]
    rates: list[RateView]


def chosen(
    service: ServiceDep,
    since: Annotated[date, Query(description="The first day, in the service's zone")],
    until: Annotated[date, Query(description="The last day")],
    vendor: Text | None = None,
    agent: Text | None = None,
    channel: Literal["online", "phone", "email", "social"] | None = None,
    state: Annotated[State, Query(description="found: not rejected; confirmed; waiting: not decided")] = "found",
) -> Chosen:
    """What the query asks for; raises 422."""
    if not _FIRST <= min(since, until) <= max(since, until) <= _LAST:
        raise ApiError(422, "invalid", f"days lie between {_FIRST} and {_LAST}", "/since")
    zone = wiring.keeping(service).zone
    start, end = (datetime.combine(day, time.min, zone) for day in (since, until + timedelta(days=1)))
    return Chosen(from_datetime(start), from_datetime(end), vendor, agent, channel, state).checked()


Asked = Annotated[Chosen, Depends(chosen)]


@router.get("/statistics/incidents")
def count_incidents(asked: Asked, service: ServiceDep, principal: Reviewer) -> IncidentCounts:
    """Incident candidates by day, hour, clause, vendor and agent; the level is the reviewer's where one decided."""
    zone = wiring.keeping(service).zone
    standards = service.engine.screener.lexicon.standards
    titles = {(name, clause.id): clause.title for name, standard in standards.items() for clause in standard.clauses}
    with service.store.read() as session:
        found = incidents.count(session, asked, principal, zone)

    def shares(bars: list[incidents.Bar]) -> list[Share]:
        return [
            Share(name=bar.name, standard=bar.standard, title=titles.get((bar.standard or "", bar.name or "")), levels=bar.levels)  # type: ignore[arg-type]  # the store's words are those of the contract
            for bar in bars
        ]

    return IncidentCounts(
        since=to_datetime(asked.start),
        until=to_datetime(asked.end),
        total=found.total,
        days=[Day(day=day, levels=levels) for day, levels in found.days],  # type: ignore[arg-type]
        hours=found.hours,
        clauses=shares(found.clauses),
        vendors=shares(found.vendors),
        agents=shares(found.agents),
        agent_count=found.agent_count,
    )


@router.get("/statistics/service")
def measure_service(asked: Asked, service: ServiceDep, principal: Reviewer) -> ServiceLevels:
    """How long customers waited, how satisfied they were, whether they were answered and helped."""
    screener = service.engine.screener
    limits = profiles.limits(screener.profile, screener.lexicon)
    with service.store.read() as session:
        distributions = services.responses(session, asked, principal, dict(limits))
        rates = services.rates(session, asked, principal, screener.lexicon)
    return ServiceLevels(
        since=to_datetime(asked.start),
        until=to_datetime(asked.end),
        responses=[
            ResponseTimes(
                signal=one.signal,
                channel=one.channel,
                edges=list(services.EDGES),
                counts=one.counts,
                total=one.total,
                limits=[
                    LimitView(value=value, source=source, over=over)
                    for (value, source), over in zip(one.limits, one.over, strict=True)
                ],
            )
            for one in distributions
        ],
        rates=[
            RateView(
                **{name: getattr(one, name) for name in services.Rate._fields},
                share=100 * one.hits / one.total if one.total else None,
                low=_percent(one.interval[0]),
                high=_percent(one.interval[1]),
            )
            for one in rates
        ],
    )


def _percent(share: float) -> float:
    return round(100 * share, 2) if math.isfinite(share) else 0.0
