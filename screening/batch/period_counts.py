"""What the report on a period counts in a scored archive, and the demands of the standards that it is held against."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lexicons.load import Lexicon
from lexicons.schema import Standard
from screening.report import names
from screening.types import Channel

Figure = Literal["first_response", "mean_response", "queue", "satisfied", "answered", "solved"]
GROUPS = ("channel", "vendor_id", "agent_id", "level", "complete", "rating", "answered", "solved")
DURATIONS: dict[str, Figure] = {
    "first_response_seconds": "first_response",
    "mean_response_seconds": "mean_response",
    "queue_seconds": "queue",
}
RATED = ("satisfied", "neutral", "dissatisfied")


class Demand(NamedTuple):
    """What a standard demands of a figure."""

    figure: Figure
    name: str
    channel: Channel | None
    standard: Standard
    place: str
    limit: float


_LEDGER: dict[str, tuple[Figure, str, Channel | None]] = {
    "online-satisfaction": ("satisfied", "满意度", "online"),
    "phone-satisfaction": ("satisfied", "满意度", "phone"),
    "satisfaction": ("satisfied", "满意度", None),
    "phone-answer-rate": ("answered", "接起率", "phone"),
    "phone-wait": ("queue", "排队等候", "phone"),
    "phone-answered": ("queue", "排队等候", "phone"),
    "solved-rate": ("solved", "解决率", None),
}
_THRESHOLDS: dict[str, tuple[Figure, str]] = {
    "response.slow_first": ("first_response", "首次响应"),
    "response.slow": ("mean_response", "平均响应"),
}


def demands_of(lexicon: Lexicon) -> Iterator[Demand]:
    """What all standards of a lexicon demand of the figures that a report shows."""
    for standard in lexicon.standards.values():
        for threshold in standard.thresholds:
            if threshold.signal in _THRESHOLDS:
                figure, name = _THRESHOLDS[threshold.signal]
                for channel in threshold.channels:
                    yield Demand(figure, name, channel, standard, threshold.place, threshold.value)
        for fact in standard.ledger:
            if fact.id in _LEDGER and fact.value is not None:
                figure, name, where = _LEDGER[fact.id]
                yield Demand(figure, name, where, standard, fact.place, fact.value)


class Seconds:
    """Durations of one kind: how many lasted each whole second, their sum (weighted for means), and how many kept each limit."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()
        self.total = 0.0
        self.weighted = 0.0
        self.weight = 0
        self.within: Counter[float] = Counter()

    def add(self, values: Any, weights: Any, limits: Sequence[float]) -> None:
        """Count numpy arrays of seconds; `weights`: how many answers each mean stands for."""
        whole, counts = np.unique(np.rint(values).astype(np.int64), return_counts=True)
        self.counts.update(dict(zip(whole.tolist(), counts.tolist(), strict=True)))
        self.total += float(values.sum())
        if weights is not None:
            self.weighted += float((values * weights).sum())
            self.weight += int(weights.sum())
        for limit in limits:
            self.within[limit] += int((values <= limit).sum())


class Counts:
    """Everything that is counted; keys without a channel hold all channels together."""

    def __init__(self, demands: Sequence[Demand]):
        self.all: Counter[str] = Counter()
        self.agent_turns = 0
        self.days: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.agents: dict[str, Counter[str]] = {}
        self.vendors: dict[str, Counter[str]] = {}
        self.channels: dict[str, Counter[str]] = {}
        self.ratings: Counter[tuple[str | None, str]] = Counter()
        self.seconds: dict[tuple[Figure, str], Seconds] = {}
        self.day_seconds: dict[tuple[str, str], Seconds] = {}
        self.clauses: Counter[tuple[str, str, str, str]] = Counter()
        self.clause_agents: dict[tuple[str, str, str, str], set[str | None]] = {}
        self._limits = {
            (demand.figure, channel): sorted(
                {d.limit for d in demands if d.figure == demand.figure and d.channel in (None, channel)}
            )
            for demand in demands
            for channel in names.CHANNELS
        }

    def screenings(self, day: str, batch: pa.RecordBatch) -> None:
        """Count rows of `screenings/` of one day."""
        table = pa.Table.from_batches([batch])
        for row in table.group_by(list(GROUPS)).aggregate([([], "count_all"), ("agent_turns", "sum")]).to_pylist():
            self._group(day, row, row["count_all"])
            self.agent_turns += row["agent_turns_sum"]
        for channel in pc.unique(batch["channel"]).to_pylist():
            own = batch.filter(pc.equal(batch["channel"], channel))
            for column in DURATIONS:
                self._durations(day, channel, column, own)

    def _group(self, day: str, row: dict[str, Any], n: int) -> None:
        kind = row["level"] or ("clear" if row["complete"] else "incomplete")
        told = [kind] if row["rating"] not in RATED else [kind, row["rating"]]
        told += [name for name in ("answered", "solved") if row[name] is not None]
        told += [f"{name} yes" for name in ("answered", "solved") if row[name]]
        counters = (
            self.all,
            self.days[day],
            self.agents.setdefault(row["agent_id"] or "", Counter()),
            self.vendors.setdefault(row["vendor_id"] or "", Counter()),
            self.channels.setdefault(row["channel"], Counter()),
        )
        for counter in counters:
            counter["conversations"] += n
            for name in told:
                counter[name] += n
        if row["rating"] in RATED:
            self.ratings[None, row["rating"]] += n

    def _durations(self, day: str, channel: str, column: str, batch: pa.RecordBatch) -> None:
        held = batch.filter(pc.is_valid(batch[column]))
        if held.num_rows == 0:
            return
        values = held[column].to_numpy(zero_copy_only=False)
        weights = held["responses"].to_numpy(zero_copy_only=False) if column == "mean_response_seconds" else None
        figure = DURATIONS[column]
        limits = self._limits.get((figure, channel), ())
        self.seconds.setdefault((figure, channel), Seconds()).add(values, weights, limits)
        if figure == "first_response":
            self.day_seconds.setdefault((day, channel), Seconds()).add(values, None, ())

    def candidates(self, batch: pa.RecordBatch) -> None:
        """Count rows of `candidates/`."""
        table = pa.Table.from_batches([batch])
        keys = ["standard", "clause", "title", "level", "agent_id"]
        for row in table.group_by(keys).aggregate([([], "count_all")]).to_pylist():
            key = (row["standard"], row["clause"], row["title"], row["level"])
            self.clauses[key] += row["count_all"]
            self.clause_agents.setdefault(key, set()).add(row["agent_id"])
