"""What a report shows, counted while the screenings stream by: only the conversations to be shown are kept."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, tzinfo

import msgspec

from lexicons.schema import Clause, Standard
from screening.grade import ORDER
from screening.report import names
from screening.report.case import Case, case_of, local
from screening.types import Conversation, Level, Screening, Versions

SHOWN_AT_MOST = 2000
REFUSALS_AT_MOST = 500
UNKNOWN = "未填写"
_GROUPS = ("agents", "vendors", "channels", "days")


class RefusedInput(msgspec.Struct, frozen=True):
    """An input that could not be read, and why."""

    source: str
    row: int
    reason: str
    id: str | None = None


class Tally(msgspec.Struct, frozen=True):
    """Conversations of one agent, vendor, channel or day, each counted once under its gravest level.

    `incomplete` counts those that were not screened in full and have no level yet: a person decides.
    """

    key: str
    name: str
    conversations: int
    a: int = 0
    b: int = 0
    c: int = 0
    incomplete: int = 0

    @property
    def graded(self) -> int:
        """Conversations with a candidate."""
        return self.a + self.b + self.c

    @property
    def rate(self) -> float:
        """The share of conversations with a candidate."""
        return self.graded / self.conversations if self.conversations else 0.0

    @property
    def clear(self) -> int:
        """Conversations screened in full without a candidate."""
        return self.conversations - self.graded - self.incomplete


class ClauseCount(msgspec.Struct, frozen=True):
    """How often a clause was nominated, over how many agents."""

    standard: str
    clause: Clause
    candidates: int
    agents: int


class SignalCount(msgspec.Struct, frozen=True):
    """Flags of one signal by status, and the conversations they stand in."""

    signal: str
    family: str
    name: str
    active: int
    shadow: int
    excused: int
    conversations: int


class Totals(msgspec.Struct, frozen=True):
    """The headline numbers; `levels` holds the conversations as one tally, `incomplete` all that were not screened in full."""

    levels: Tally
    complete: int
    incomplete: int
    turns: int
    agent_turns: int
    candidates: int
    active: int
    shadow: int
    excused: int
    refused: int


class Report(msgspec.Struct, frozen=True):
    """Everything that the page and the terminal summary show."""

    source: str
    made_at: datetime
    timezone: str
    standards: tuple[Standard, ...]
    versions: Versions
    totals: Totals
    clauses: tuple[ClauseCount, ...]
    signals: tuple[SignalCount, ...]
    agents: tuple[Tally, ...]
    vendors: tuple[Tally, ...]
    channels: tuple[Tally, ...]
    days: tuple[Tally, ...]
    cases: tuple[Case, ...]
    left_out: int
    refused: tuple[RefusedInput, ...]


class Collector:
    """Takes conversations with their screenings, and refusals, in the order of the file; gives the report at the end."""

    def __init__(self, standards: Sequence[Standard], zone: tzinfo, shown_at_most: int = SHOWN_AT_MOST):
        self._standards = tuple(standards)
        self._clauses = {(s.id, c.id): c for s in standards for c in s.clauses}
        self._zone = zone
        self._at_most = shown_at_most
        self._cases: list[list[Case]] = [[] for _ in range(len(ORDER) + 2)]
        self._to_show = 0
        self._counts: Counter[str] = Counter()
        self._all: Counter[str] = Counter()
        self._groups: dict[str, dict[str, Counter[str]]] = {group: {} for group in _GROUPS}
        self._signals: dict[str, Counter[str]] = {}
        self._clause_counts: Counter[tuple[str, str]] = Counter()
        self._clause_agents: dict[tuple[str, str], set[str | None]] = {}
        self._refused: list[RefusedInput] = []

    def refuse(self, refusal: RefusedInput) -> None:
        """Count an input that could not be read."""
        self._counts["refused"] += 1
        if len(self._refused) < REFUSALS_AT_MOST:
            self._refused.append(refusal)

    def add(self, conversation: Conversation, screening: Screening) -> None:
        """Count a conversation, and keep it where there is something to see."""
        self._counts["complete" if screening.complete else "incomplete"] += 1
        self._counts["turns"] += len(conversation.turns)
        self._counts["agent_turns"] += sum(turn.role == "agent" for turn in conversation.turns)
        self._counts["candidates"] += len(screening.candidates)
        self._tally(conversation, screening)
        for flag in screening.flags:
            self._counts[flag.status] += 1
            self._signals.setdefault(flag.signal, Counter())[flag.status] += 1
        for signal in {flag.signal for flag in screening.flags}:
            self._signals[signal]["conversations"] += 1
        for candidate in screening.candidates:
            key = candidate.standard, candidate.clause
            self._clause_counts[key] += 1
            self._clause_agents.setdefault(key, set()).add(conversation.agent_id)
        if screening.flags or not screening.complete:
            self._show(conversation, screening)

    def _tally(self, conversation: Conversation, screening: Screening) -> None:
        began = conversation.started_at or next((turn.at for turn in conversation.turns if turn.at), None)
        keys = {
            "agents": conversation.agent_id or "",
            "vendors": conversation.vendor_id or "",
            "channels": conversation.channel,
            "days": local(began, self._zone).date().isoformat() if began else "",
        }
        counts = (self._all, *(self._groups[group].setdefault(key, Counter()) for group, key in keys.items()))
        kind = screening.level or ("clear" if screening.complete else "incomplete")
        for count in counts:
            count["conversations"] += 1
            count[kind] += 1

    def _show(self, conversation: Conversation, screening: Screening) -> None:
        self._to_show += 1
        kept = self._cases[_rank(screening.level, screening.complete)]
        if len(kept) < self._at_most:
            kept.append(case_of(conversation, screening, self._clauses, self._zone))

    def report(self, source: str, made_at: datetime, versions: Versions) -> Report:
        """The report on all that was added, gravest conversations first."""
        cases = tuple(self._gravest_first())[: self._at_most]
        names_of = names.CHANNELS
        return Report(
            source=source,
            made_at=local(made_at, self._zone),
            timezone=str(self._zone),
            standards=self._standards,
            versions=versions,
            totals=self._totals(),
            clauses=tuple(self._clause_table()),
            signals=tuple(self._signal_table()),
            agents=_gravest(_tally(key, key or UNKNOWN, count) for key, count in self._groups["agents"].items()),
            vendors=_gravest(_tally(key, key or UNKNOWN, count) for key, count in self._groups["vendors"].items()),
            channels=_gravest(_tally(key, names_of[key], count) for key, count in self._groups["channels"].items()),
            days=tuple(_tally(key, key or UNKNOWN, count) for key, count in sorted(self._groups["days"].items())),
            cases=cases,
            left_out=self._to_show - len(cases),
            refused=tuple(self._refused),
        )

    def _gravest_first(self) -> Iterator[Case]:
        for cases in self._cases:
            yield from sorted(cases, key=lambda case: -case.score)

    def _totals(self) -> Totals:
        count = self._counts
        return Totals(
            levels=_tally("", "", self._all),
            complete=count["complete"],
            incomplete=count["incomplete"],
            turns=count["turns"],
            agent_turns=count["agent_turns"],
            candidates=count["candidates"],
            active=count["active"],
            shadow=count["shadow"],
            excused=count["excused"],
            refused=count["refused"],
        )

    def _clause_table(self) -> Iterator[ClauseCount]:
        """Every clause of the standards in force, also those that nobody broke or that only a person can judge."""
        for (standard, name), clause in self._clauses.items():
            key = standard, name
            yield ClauseCount(standard, clause, self._clause_counts[key], len(self._clause_agents.get(key, ())))

    def _signal_table(self) -> Iterator[SignalCount]:
        for signal, count in sorted(self._signals.items(), key=lambda item: (-item[1]["active"], item[0])):
            yield SignalCount(
                signal=signal,
                family=names.family(signal),
                name=names.SIGNALS.get(signal, signal),
                active=count["active"],
                shadow=count["shadow"],
                excused=count["excused"],
                conversations=count["conversations"],
            )


def _rank(level: Level | None, complete: bool) -> int:
    """Where a conversation stands in the list: levels, then what a person must look at, then mere notes."""
    if level is not None:
        return ORDER[level]
    return len(ORDER) + complete


def _tally(key: str, name: str, count: Counter[str]) -> Tally:
    return Tally(key, name, count["conversations"], count["A"], count["B"], count["C"], count["incomplete"])


def _gravest(tallies: Iterable[Tally]) -> tuple[Tally, ...]:
    return tuple(sorted(tallies, key=lambda t: (-t.a, -t.b, -t.c, -t.rate, t.key)))
