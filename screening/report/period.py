"""What the report on a period shows: counts with their n and intervals, nothing of any conversation's text."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec

from screening.intervals import wilson
from screening.report.data import Tally
from screening.types import Channel, Level, Versions

FEW = 30
"""Below this many conversations a share says little by itself; the report marks it."""


class Share(msgspec.Struct, frozen=True):
    """`hits` of `n`, with the Wilson interval (95 %); no value where n is 0."""

    hits: int = 0
    n: int = 0

    @property
    def value(self) -> float | None:
        """The share, None where nothing was counted."""
        return self.hits / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval."""
        return wilson(self.hits, self.n)


class Spread(msgspec.Struct, frozen=True):
    """How long something took: whole seconds, except the mean; all 0 where n is 0."""

    n: int = 0
    mean: float = 0.0
    median: int = 0
    p90: int = 0
    maximum: int = 0


class Slot(msgspec.Struct, frozen=True):
    """One day, week or month of the trend; `first_response` is that of the period's main channel."""

    levels: Tally
    first_response: Spread
    satisfied: Share


class ClauseShare(msgspec.Struct, frozen=True):
    """A clause of the Pareto table: its candidates, and the share of all candidates up to and with it."""

    standard: str
    clause: str
    title: str
    level: Level
    candidates: int
    agents: int
    share: float
    cumulative: float


class Agent(msgspec.Struct, frozen=True):
    """An agent's conversations. `differs`: more or fewer candidates than all together, beyond chance among so many agents."""

    levels: Tally
    graded: Share
    satisfied: Share
    differs: Literal["more", "fewer"] | None


class Indicator(msgspec.Struct, frozen=True):
    """A figure beside what a standard demands of it.

    `within`: the share of conversations within `limit` seconds; `mean`: the mean over all answers against `limit` seconds; `rate`: a
    share that must reach `limit` percent. `met` is None for `within`: the standard names no share.
    """

    name: str
    channel: Channel | None
    standard: str
    place: str
    in_force: bool
    kind: Literal["within", "mean", "rate"]
    limit: float
    share: Share
    mean: float | None
    n: int

    @property
    def met(self) -> bool | None:
        """Whether the figure reaches the limit; None where it cannot be said."""
        if self.kind == "mean":
            return None if self.mean is None else self.mean <= self.limit
        value = self.share.value
        return None if self.kind == "within" or value is None else 100 * value >= self.limit

    @property
    def unsure(self) -> bool:
        """Whether the interval holds the limit: a few conversations more could turn the verdict."""
        low, high = self.share.interval
        return self.kind == "rate" and self.share.n > 0 and 100 * low < self.limit <= 100 * high


class ChannelFigures(msgspec.Struct, frozen=True):
    """What one channel's conversations took and how they ended."""

    channel: Channel
    conversations: int
    first_response: Spread
    mean_response: Spread
    queue: Spread
    bins: tuple[int, ...]
    """First responses by `BINS`."""
    satisfied: Share
    neutral: int
    dissatisfied: int
    answered: Share
    solved: Share


BINS: tuple[int | None, ...] = (5, 10, 20, 30, 60, 300, 1800, 14400, None)
"""Upper ends in seconds, the last open."""


class HistoryCount(msgspec.Struct, frozen=True):
    """Findings over several conversations of one kind and outcome."""

    kind: str
    outcome: str
    level: Level | None
    findings: int


class Period(msgspec.Struct, frozen=True):
    """Everything that the page and the workbook show. `slots` are days, weeks or months, by `unit`; `undated` has no slot."""

    source: str
    made_at: datetime
    timezone: str
    vendor: str | None
    first: str | None
    last: str | None
    unit: Literal["day", "week", "month"]
    levels: Tally
    agent_turns: int
    candidates: int
    refused: int
    undated: int
    satisfied: Share
    main_channel: Channel
    slots: tuple[Slot, ...]
    clauses: tuple[ClauseShare, ...]
    agents: tuple[Agent, ...]
    vendors: tuple[Tally, ...]
    channels: tuple[ChannelFigures, ...]
    indicators: tuple[Indicator, ...]
    history: tuple[HistoryCount, ...]
    versions: Versions

    @property
    def graded(self) -> Share:
        """The share of conversations with a candidate."""
        return Share(self.levels.graded, self.levels.conversations)


def spread(seconds: Mapping[int, int], total: float) -> Spread:
    """The spread of values counted by whole seconds, with their exact sum."""
    n = sum(seconds.values())
    if n == 0:
        return Spread()
    return Spread(n, total / n, _quantile(seconds, n, 0.5), _quantile(seconds, n, 0.9), max(seconds))


def _quantile(seconds: Mapping[int, int], n: int, q: float) -> int:
    """The smallest value that at least the share `q` of all does not exceed."""
    seen = 0
    for value in sorted(seconds):
        seen += seconds[value]
        if seen >= q * n:
            return value
    return 0


def tally(key: str, name: str, count: Counter[str]) -> Tally:
    """Conversations counted by level, `incomplete` and `conversations`."""
    return Tally(key, name, count["conversations"], count["A"], count["B"], count["C"], count["incomplete"])
