"""What looking at several conversations finds, and the clause of a graded standard that it rests on."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from lexicons.load import Lexicon
from lexicons.schema import Clause, Standard
from screening.profile import Profile
from screening.types import Level

Kind = Literal["entry_errors", "diversion", "promise", "mail", "repeated_complaint"]
Outcome = Literal["counted", "undated", "kept", "late", "unkept", "unanswered", "open", "repeated"]


class Basis(msgspec.Struct, frozen=True):
    """The clause and the number (count, days) that a standard sets for a kind; without a clause it only defines the kind."""

    standard: str
    clause: str | None
    level: Level | None
    points: int | None
    value: float | None


class HistoryFinding(msgspec.Struct, frozen=True):
    """One finding over `conversations` (in the order of time, `turns` beside them); `day` is the local day it counts on.

    `count`: wrong entries, conversations with a diversion, complaints, else 1. `at`: the moment that decides, `due_at`: until when
    something had to happen; microseconds UTC. A finding is a candidate for a person, as flags are.
    """

    kind: Kind
    outcome: Outcome
    signal: str | None
    standard: str
    clause: str | None
    level: Level | None
    points: int | None
    day: str | None
    vendor_id: str | None
    agent_id: str | None
    customer_id: str | None
    count: int
    conversations: tuple[str, ...]
    turns: tuple[int | None, ...]
    at: int | None
    due_at: int | None
    why: str


_RULES: Mapping[Kind, tuple[str | None, str | None]] = {
    "entry_errors": ("entry-errors-month", "entry.error"),
    "diversion": ("diversion-once-per-day", "diversion.platform"),
    "promise": (None, "promise.unkept"),
    "mail": ("mail-same-day", "promise.unkept"),
    "repeated_complaint": ("definition-repeat", None),
}
"""Kind to the ledger rule that a standard must have and the signal whose clause it counts under."""


def bases(profile: Profile, lexicon: Lexicon) -> dict[Kind, tuple[Basis, ...]]:
    """Per kind what the profile's standards say; what defines a major complaint holds whichever standards grade."""
    graded = [lexicon.standards[name] for name in profile.standards]
    found: dict[Kind, tuple[Basis, ...]] = {}
    for kind, (rule, signal) in _RULES.items():
        standards = list(lexicon.standards.values()) if signal is None else graded
        found[kind] = tuple(basis for standard in standards if (basis := _basis(standard, rule, signal)) is not None)
    return found


def _basis(standard: Standard, rule: str | None, signal: str | None) -> Basis | None:
    fact = next((entry for entry in standard.ledger if entry.id == rule), None)
    if rule is not None and fact is None:
        return None
    value = None if fact is None else fact.value
    if signal is None:
        return Basis(standard.id, None, None, None, value)
    clause = next((clause for clause in standard.clauses if _leads(clause, signal)), None)
    if clause is None or (rule is None and "ledger" not in clause.detect):
        return None
    return Basis(standard.id, clause.id, clause.level, clause.points, value)


def _leads(clause: Clause, signal: str) -> bool:
    return signal in clause.signals or signal in clause.ledger_signals
