"""The report of a back-test: hits that come and go, whom they concern, and what people said on the same words before."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from api.review.precision import Judged
from screening.intervals import wilson
from screening.types import Conversation, Flag, Screening

SAMPLES = 20
LISTED = 50


class Seen(NamedTuple):
    """A place that a person judged: the signal was confirmed there or rejected."""

    signal: str
    turn: int | None
    start: int | None
    end: int | None
    confirmed: bool


class Sample(msgspec.Struct):
    """Where a hit came or went; no text."""

    conversation_id: str
    rule: str
    signal: str
    turn: int | None
    start: int | None
    end: int | None


class Counts(msgspec.Struct):
    """Hits of one rule, and how many of them stand on words that people confirmed or rejected."""

    hits_before: int = 0
    hits_after: int = 0
    new: int = 0
    lost: int = 0
    confirmed: int = 0
    """Hits with the version on words where the signal was confirmed."""
    rejected: int = 0
    lost_confirmed: int = 0
    lost_rejected: int = 0


class Report(msgspec.Struct):
    """What blocks of conversations add up to."""

    conversations: int = 0
    affected: int = 0
    rules: dict[str, Counts] = {}
    agents: dict[str, int] = {}
    vendors: dict[str, int] = {}
    levels: dict[str, int] = {}
    """Conversations by "level before > level after", where the two differ; - is none."""
    new_samples: list[Sample] = []
    lost_samples: list[Sample] = []

    def add(
        self, conversation: Conversation, old: Screening, new: Screening, changed: frozenset[str], verdicts: Sequence[Seen]
    ) -> None:
        """Count one conversation, screened both ways. `changed`: ids of the rules that differ."""
        self.conversations += 1
        before, after = _active(old), _active(new)
        for flag in before:
            if flag.source.id in changed:
                self._counts(flag).hits_before += 1
        for flag in after:
            if flag.source.id in changed:
                counts = self._counts(flag)
                counts.hits_after += 1
                verdict = _verdict(flag, verdicts)
                counts.confirmed += verdict is True
                counts.rejected += verdict is False
        came = [flag for flag in after if not any(_overlap(flag, other) for other in before)]
        went = [flag for flag in before if not any(_overlap(flag, other) for other in after)]
        for flag in came:
            self._counts(flag).new += 1
            _sample(self.new_samples, conversation, flag)
        for flag in went:
            counts = self._counts(flag)
            counts.lost += 1
            verdict = _verdict(flag, verdicts)
            counts.lost_confirmed += verdict is True
            counts.lost_rejected += verdict is False
            _sample(self.lost_samples, conversation, flag)
        if old.level != new.level:
            _count(self.levels, f"{old.level or '-'} > {new.level or '-'}")
        if came or went or old.level != new.level:
            self.affected += 1
            if conversation.agent_id is not None:
                _count(self.agents, conversation.agent_id)
            if conversation.vendor_id is not None:
                _count(self.vendors, conversation.vendor_id)

    def merge(self, other: "Report") -> None:
        """Add another block's report."""
        self.conversations += other.conversations
        self.affected += other.affected
        for name, counts in other.rules.items():
            mine = self.rules.setdefault(name, Counts())
            for field in Counts.__struct_fields__:
                setattr(mine, field, getattr(mine, field) + getattr(counts, field))
        for into, counted in ((self.agents, other.agents), (self.vendors, other.vendors), (self.levels, other.levels)):
            for name, count in counted.items():
                _count(into, name, count)
        self.new_samples = (self.new_samples + other.new_samples)[:SAMPLES]
        self.lost_samples = (self.lost_samples + other.lost_samples)[:SAMPLES]

    def _counts(self, flag: Flag) -> Counts:
        return self.rules.setdefault(flag.source.id, Counts())


def summary(total: Report, against: int | None, judged: Iterable[Judged]) -> dict[str, Any]:
    """The report as it is kept: per rule with an estimate of its precision, and the agents and vendors most concerned.

    The estimate comes from verdicts on the same words; `history` counts verdicts on earlier flags of the rule anywhere.
    """
    history: dict[str, list[dict[str, Any]]] = {}
    for one in judged:
        entry = {"version": one.version, "confirmed": one.confirmed, "rejected": one.rejected}
        history.setdefault(one.rule or "", []).append(entry)
    rules = [
        {"rule": name}
        | msgspec.to_builtins(counts)
        | {"precision": _precision(counts.confirmed, counts.rejected), "history": history.get(name, [])}
        for name, counts in sorted(total.rules.items())
    ]
    sums = {name: sum(getattr(counts, name) for counts in total.rules.values()) for name in Counts.__struct_fields__}
    return {
        "against": against,
        "conversations": total.conversations,
        "affected": total.affected,
        **{name: sums[name] for name in ("new", "lost", "lost_confirmed", "lost_rejected")},
        "precision": _precision(sums["confirmed"], sums["rejected"]),
        "rules": rules,
        "levels": total.levels,
        "agents": _most(total.agents),
        "vendors": _most(total.vendors),
        "new_samples": msgspec.to_builtins(total.new_samples),
        "lost_samples": msgspec.to_builtins(total.lost_samples),
    }


def _precision(confirmed: int, rejected: int) -> dict[str, Any]:
    judged = confirmed + rejected
    low, high = wilson(confirmed, judged)
    estimate = round(confirmed / judged, 3) if judged else None
    return {"judged": judged, "confirmed": confirmed, "estimate": estimate, "low": round(low, 3), "high": round(high, 3)}


def _most(counted: dict[str, int]) -> list[dict[str, Any]]:
    ordered = sorted(counted.items(), key=lambda entry: (-entry[1], entry[0]))
    return [{"id": name, "conversations": count} for name, count in ordered[:LISTED]]


def _active(screening: Screening) -> list[Flag]:
    return [flag for flag in screening.flags if flag.status == "active"]


def _overlap(flag: Flag | Seen, other: Flag | Seen) -> bool:
    """Whether two places say the same: same signal, same turn, overlapping words."""
    if (flag.signal, flag.turn) != (other.signal, other.turn):
        return False
    if flag.start is None or flag.end is None or other.start is None or other.end is None:
        return True
    return flag.start < other.end and other.start < flag.end


def _verdict(flag: Flag, verdicts: Sequence[Seen]) -> bool | None:
    """What was said last on these words; None where nobody judged them."""
    return next((seen.confirmed for seen in reversed(verdicts) if _overlap(flag, seen)), None)


def _sample(into: list[Sample], conversation: Conversation, flag: Flag) -> None:
    if len(into) < SAMPLES:
        into.append(Sample(conversation.id, flag.source.id, flag.signal, flag.turn, flag.start, flag.end))


def _count(into: dict[str, int], name: str, count: int = 1) -> None:
    into[name] = into.get(name, 0) + count
