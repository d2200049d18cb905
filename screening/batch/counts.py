"""What a summary counts, chunk by chunk, to be added up."""

from collections.abc import Iterable
from datetime import tzinfo

import msgspec

from screening.batch.columns import Scored, day_of, times
from screening.types import Screening


class Group(msgspec.Struct):
    """Conversations of one agent, vendor or day, each under its gravest level."""

    conversations: int = 0
    a: int = 0
    b: int = 0
    c: int = 0
    incomplete: int = 0

    def add(self, other: "Group") -> None:
        """Add another's."""
        for field in self.__struct_fields__:
            setattr(self, field, getattr(self, field) + getattr(other, field))

    def count(self, screening: Screening) -> None:
        """Count one conversation."""
        self.conversations += 1
        if screening.level is not None:
            level = screening.level.lower()
            setattr(self, level, getattr(self, level) + 1)
        self.incomplete += not screening.complete


class Counts(msgspec.Struct):
    """Totals; `flagged`: conversations with an active flag. Clauses are candidates by `standard/clause`, signals active flags."""

    total: Group = msgspec.field(default_factory=Group)
    turns: int = 0
    agent_turns: int = 0
    flagged: int = 0
    refused: int = 0
    clauses: dict[str, int] = {}
    signals: dict[str, int] = {}
    vendors: dict[str, Group] = {}
    agents: dict[str, Group] = {}
    days: dict[str, Group] = {}
    datasets: dict[str, list[str]] = {}
    """Of one chunk: the days of each dataset, in the order of their batches."""

    def add(self, other: "Counts") -> None:
        """Add another chunk's."""
        self.total.add(other.total)
        for field in ("turns", "agent_turns", "flagged", "refused"):
            setattr(self, field, getattr(self, field) + getattr(other, field))
        for own, more in ((self.clauses, other.clauses), (self.signals, other.signals)):
            for key, count in more.items():
                own[key] = own.get(key, 0) + count
        for groups, added in ((self.vendors, other.vendors), (self.agents, other.agents), (self.days, other.days)):
            for key, group in added.items():
                groups.setdefault(key, Group()).add(group)


def counted(scored: Iterable[Scored], zone: tzinfo, refused: int) -> Counts:
    """The counts of one chunk; conversations that name no vendor or agent count under an empty name."""
    found = Counts(refused=refused)
    for _, _, _, conversation, screening, _ in scored:
        found.turns += len(conversation.turns)
        found.agent_turns += sum(turn.role == "agent" for turn in conversation.turns)
        found.flagged += any(flag.status == "active" for flag in screening.flags)
        day = day_of(times(conversation, zone).began, zone)
        for group in (
            found.total,
            found.vendors.setdefault(conversation.vendor_id or "", Group()),
            found.agents.setdefault(conversation.agent_id or "", Group()),
            found.days.setdefault(day, Group()),
        ):
            group.count(screening)
        for candidate in screening.candidates:
            key = f"{candidate.standard}/{candidate.clause}"
            found.clauses[key] = found.clauses.get(key, 0) + 1
        for flag in screening.flags:
            if flag.status == "active":
                found.signals[flag.signal] = found.signals.get(flag.signal, 0) + 1
    return found
