"""Counts a scored archive for the report on a period: day by day, holding counts only."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from lexicons.load import Lexicon
from screening.batch import datasets
from screening.batch.period_counts import DURATIONS, GROUPS, RATED, Counts, Demand, Seconds, demands_of
from screening.batch.rows import days, rows
from screening.batch.schemas import NO_DAY
from screening.batch.storage import Folder
from screening.errors import InputError
from screening.grade import ORDER
from screening.intervals import tails
from screening.profile import Profile
from screening.report.data import UNKNOWN
from screening.report.period import (
    BINS,
    Agent,
    ChannelFigures,
    ClauseShare,
    HistoryCount,
    Indicator,
    Period,
    Share,
    Slot,
    spread,
    tally,
)
from screening.types import Channel

_ROWS = 1 << 17
_MOST_DAYS, _MOST_WEEKS = 45, 60


class Asked(NamedTuple):
    """Which conversations the report is on: all of an archive, or one vendor's, or those of some days (both included)."""

    root: str
    vendor: str | None = None
    first: date | None = None
    last: date | None = None


def collect(asked: Asked, profile: Profile, lexicon: Lexicon, made_at: datetime | None = None) -> Period:
    """The figures of a scored archive; raises `InputError` where it holds none of what is asked for."""
    summary = datasets.summary(asked.root)
    folder = Folder(asked.root)
    chosen = _chosen(folder, asked)
    demands = list(demands_of(lexicon))
    count = Counts(demands)
    for day in chosen:
        for batch in rows(folder, f"screenings/day={day}", (*GROUPS, *DURATIONS, "responses", "agent_turns"), _ROWS):
            count.screenings(day, _of_vendor(batch, asked.vendor))
        for batch in rows(folder, f"candidates/day={day}", ("standard", "clause", "title", "level", "agent_id", "vendor_id")):
            count.candidates(_of_vendor(batch, asked.vendor))
    if not count.all["conversations"]:
        raise InputError(f"{asked.root}: no conversations {_told(asked)}")
    dated = [day for day in chosen if day != NO_DAY and count.days[day]["conversations"]]
    whole = asked.vendor is None and asked.first is None and asked.last is None
    zone = ZoneInfo(summary.zone)
    return Period(
        source=folder.root.rstrip("/").rpartition("/")[2] or folder.root,
        made_at=(made_at or datetime.now(UTC)).astimezone(zone),
        timezone=summary.zone,
        vendor=asked.vendor,
        first=dated[0] if dated else None,
        last=dated[-1] if dated else None,
        unit=_unit(dated),
        levels=tally("", "", count.all),
        agent_turns=count.agent_turns,
        candidates=sum(count.clauses.values()),
        refused=summary.counts.refused if whole else 0,
        undated=count.days[NO_DAY]["conversations"],
        satisfied=Share(count.ratings[None, "satisfied"], sum(count.ratings[None, kind] for kind in RATED)),
        main_channel=_main_channel(count),
        slots=tuple(_slots(count, dated)),
        clauses=tuple(_pareto(count)),
        agents=tuple(_agents(count)),
        vendors=tuple(
            sorted((tally(k, k or UNKNOWN, c) for k, c in count.vendors.items()), key=lambda t: (-t.conversations, t.key))
        ),
        channels=tuple(_channels(count)),
        indicators=tuple(_indicators(count, demands, profile)),
        history=tuple(_history(folder, asked)),
        versions=summary.versions,
    )


def _told(asked: Asked) -> str:
    vendor = "" if asked.vendor is None else f"of vendor {asked.vendor!r} "
    return f"{vendor}from {asked.first or 'the beginning'} to {asked.last or 'the end'}; look at summary.html for what it holds"


def _chosen(folder: Folder, asked: Asked) -> list[str]:
    every = days(folder)
    if asked.first is None and asked.last is None:
        return every
    first, last = asked.first or date.min, asked.last or date.max
    return [day for day in every if day != NO_DAY and first <= date.fromisoformat(day) <= last]


def _of_vendor(batch: pa.RecordBatch, vendor: str | None) -> pa.RecordBatch:
    return batch if vendor is None else batch.filter(pc.fill_null(pc.equal(batch["vendor_id"], vendor), False))


def _unit(dated: Sequence[str]) -> Literal["day", "week", "month"]:
    span = (date.fromisoformat(dated[-1]) - date.fromisoformat(dated[0])).days + 1 if dated else 0
    return "day" if span <= _MOST_DAYS else "week" if span <= 7 * _MOST_WEEKS else "month"


def _slot_of(day: date, unit: str) -> date:
    return day if unit == "day" else day - timedelta(days=day.weekday()) if unit == "week" else day.replace(day=1)


def _main_channel(count: Counts) -> Channel:
    """The channel with most answered conversations: waiting times of different channels are no one distribution."""
    answered = {
        channel: sum(count.seconds[figure, channel].counts.values())
        for figure, channel in count.seconds
        if figure == "first_response"
    }
    channels: tuple[Channel, ...] = ("online", "phone", "email", "social")
    return max(channels, key=lambda channel: answered.get(channel, 0))


def _slots(count: Counts, dated: Sequence[str]) -> Iterator[Slot]:
    """Every slot between the first and the last day, also those without a conversation."""
    if not dated:
        return
    unit, channel = _unit(dated), _main_channel(count)
    day, last = date.fromisoformat(dated[0]), date.fromisoformat(dated[-1])
    held: dict[date, tuple[Counter[str], Seconds]] = {}
    while day <= last:
        counter, seconds = held.setdefault(_slot_of(day, unit), (Counter(), Seconds()))
        key = day.isoformat()
        counter.update(count.days.get(key, {}))
        own = count.day_seconds.get((key, channel), Seconds())
        seconds.counts.update(own.counts)
        seconds.total += own.total
        day += timedelta(days=1)
    for begin, (counter, seconds) in sorted(held.items()):
        name = f"{begin:%Y-%m}" if unit == "month" else begin.isoformat()
        yield Slot(tally(begin.isoformat(), name, counter), spread(seconds.counts, seconds.total), _satisfied(counter))


def _satisfied(counter: Counter[str]) -> Share:
    return Share(counter["satisfied"], sum(counter[kind] for kind in RATED))


def _pareto(count: Counts) -> Iterator[ClauseShare]:
    total, seen = sum(count.clauses.values()), 0
    ordered = sorted(count.clauses.items(), key=lambda item: (-item[1], ORDER[item[0][3]], item[0]))
    for key, n in ordered:
        seen += n
        standard, clause, title, level = key
        agents = len(count.clause_agents[key] - {None})
        yield ClauseShare(standard, clause, title, level, n, agents, n / total, seen / total)  # type: ignore[arg-type]


def _agents(count: Counts) -> list[Agent]:
    """Those that differ from all beyond chance first, then the others by name: their order says nothing."""
    named = {key: counter for key, counter in count.agents.items() if key}
    every = tally("", "", count.all)
    # Šidák: with so many agents one in twenty would stand out by chance alone; half of it for each direction.
    limit = (1 - 0.95 ** (1 / max(1, len(named)))) / 2
    found = []
    for key, counter in named.items():
        own = tally(key, key, counter)
        more, fewer = tails(own.graded, own.conversations, every.graded, every.conversations)
        differs: Literal["more", "fewer"] | None = "more" if more <= limit else "fewer" if fewer <= limit else None
        found.append(Agent(own, Share(own.graded, own.conversations), _satisfied(counter), differs))
    groups = {"more": 0, "fewer": 1, None: 2}
    return sorted(found, key=lambda agent: (groups[agent.differs], agent.levels.key))


def _channels(count: Counts) -> Iterator[ChannelFigures]:
    channel: Channel
    for channel in ("online", "phone", "email", "social"):
        counter = count.channels.get(channel)
        if counter is None:
            continue
        held = {figure: count.seconds.get((figure, channel), Seconds()) for figure in DURATIONS.values()}
        spreads = {figure: spread(seconds.counts, seconds.total) for figure, seconds in held.items()}
        yield ChannelFigures(
            channel=channel,
            conversations=counter["conversations"],
            first_response=spreads["first_response"],
            mean_response=spreads["mean_response"],
            queue=spreads["queue"],
            bins=_bins(held["first_response"].counts),
            satisfied=_satisfied(counter),
            neutral=counter["neutral"],
            dissatisfied=counter["dissatisfied"],
            answered=Share(counter["answered yes"], counter["answered"]),
            solved=Share(counter["solved yes"], counter["solved"]),
        )


def _bins(counts: Counter[int]) -> tuple[int, ...]:
    found = [0] * len(BINS)
    for value, n in counts.items():
        found[next(i for i, end in enumerate(BINS) if end is None or value <= end)] += n
    return tuple(found)


def _indicators(count: Counts, demands: Sequence[Demand], profile: Profile) -> list[Indicator]:
    """The figures beside the demands of all standards, those of the profile first; a channel without a conversation has none."""
    found = [
        _indicator(count, demand, profile) for demand in demands if demand.channel is None or demand.channel in count.channels
    ]
    return sorted((one for one in found if one.n), key=lambda one: not one.in_force)


def _indicator(count: Counts, demand: Demand, profile: Profile) -> Indicator:
    in_force = demand.standard.id in (*profile.standards, *profile.thresholds_from)
    share, mean, n = Share(), None, 0
    kind: Literal["within", "mean", "rate"] = "rate"
    if demand.figure in DURATIONS.values():
        held = count.seconds.get((demand.figure, demand.channel or ""), Seconds())
        n = sum(held.counts.values())
        share = Share(held.within[demand.limit], n)
        kind = "mean" if demand.figure == "mean_response" else "within"
        mean = held.weighted / held.weight if held.weight else None
    else:
        counter = count.all if demand.channel is None else count.channels[demand.channel]
        yes = Share(counter[f"{demand.figure} yes"], counter[demand.figure])
        share = _satisfied(counter) if demand.figure == "satisfied" else yes
        n = share.n
    return Indicator(
        demand.name, demand.channel, demand.standard.title, demand.place, in_force, kind, demand.limit, share, mean, n
    )


def _history(folder: Folder, asked: Asked) -> Iterator[HistoryCount]:
    if not folder.exists("history"):
        return
    found: Counter[tuple[str, str, str | None]] = Counter()
    for batch in rows(folder, "history", ("kind", "outcome", "level", "day", "vendor_id")):
        own = _of_vendor(batch, asked.vendor)
        for row in own.to_pylist():
            day = row["day"]
            if day is None and (asked.first or asked.last):
                continue
            if day is None or ((asked.first or date.min) <= day <= (asked.last or date.max)):
                found[row["kind"], row["outcome"], row["level"]] += 1
    for (kind, outcome, level), n in sorted(found.items(), key=lambda item: str(item[0])):
        yield HistoryCount(kind, outcome, level, n)  # type: ignore[arg-type]
