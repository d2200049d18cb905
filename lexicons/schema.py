"""The tables of the lexicon's TOML files as types. A field that is not here is refused by the loader."""

from typing import Literal

import msgspec

RuleStatus = Literal["draft", "shadow", "active", "retired"]
Speaker = Literal["agent", "customer", "system"]
Fold = Literal["none", "form", "sound"]
Excuse = Literal["negation", "refusal", "quotation"]

EXCUSES: tuple[Excuse, ...] = ("negation", "refusal", "quotation")


class Example(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An example with what stood before it: `context` holds lines such as "客户：能加微信吗", oldest first."""

    text: str
    context: tuple[str, ...] = ()


class After(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rule counts only after `pattern` was said by `speaker` in one of that speaker's last `turns` turns."""

    pattern: str
    speaker: Speaker = "customer"
    turns: int = 1


class Position(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rule counts only in the first or last turns (of the whole conversation) or seconds."""

    first_turns: int | None = None
    last_turns: int | None = None
    first_seconds: float | None = None
    last_seconds: float | None = None


class Repeats(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rule counts only where the same rule was hit in at least `times` of the speaker's turns within the last `turns`."""

    turns: int
    times: int = 2


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule: phrases (`any_of`) or one slot pattern, with its examples. A rule has no level; standards grade signals."""

    id: str
    version: int
    signal: str
    title: str
    references: tuple[str, ...]
    hit: tuple[str | Example, ...]
    miss: tuple[str | Example, ...]
    status: RuleStatus = "active"
    speaker: Speaker = "agent"
    any_of: tuple[str, ...] = ()
    pattern: str | None = None
    whole_word: bool = False
    fold: Fold = "form"
    unless: tuple[str, ...] = ()
    excuses: tuple[Excuse, ...] = EXCUSES
    suggestion: str | None = None
    after: After | None = None
    position: Position | None = None
    repeats: Repeats | None = None
    reason: str | None = None


class Cue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sign that conduct detectors read (closing formula, hold, open question, ...); never a flag by itself."""

    id: str
    kind: str
    speaker: tuple[Speaker, ...]
    hit: tuple[str, ...]
    miss: tuple[str, ...]
    any_of: tuple[str, ...] = ()
    pattern: str | None = None
    unless: tuple[str, ...] = ()


class WordSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Surface forms of one thing (a platform, a messenger, a way to say "you"); patterns name it as `{id}`."""

    id: str
    title: str
    forms: tuple[str, ...]


class FormVariant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Writings (split characters, emoji, symbols, shape-alikes) that the folded view turns into `to`."""

    to: str
    forms: tuple[str, ...]


class Clause(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One clause of a written standard. `signals` lead to it; `detect` says how it can be seen.

    `ledger_signals` lead to it only when counted over several conversations, never within one.
    """

    id: str
    level: Literal["A", "B", "C"]
    title: str
    text: str
    place: str
    detect: tuple[Literal["text", "turns", "data", "ledger", "human"], ...]
    signals: tuple[str, ...] = ()
    ledger_signals: tuple[str, ...] = ()
    human_reason: str | None = None
    points: int | None = None
    severe_points: int | None = None


class Threshold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A limit that a standard sets for one signal in some channels; `value` in `unit`."""

    signal: str
    channels: tuple[Literal["online", "phone", "email", "social"], ...]
    value: float
    unit: Literal["seconds", "yuan", "count"]
    place: str
    clause: str | None = None


class LedgerRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A fact of the standard that concerns several conversations (deadline, repeat, quota), for the ledger and reviewers."""

    id: str
    title: str
    value: float | None = None
    unit: str | None = None
    place: str = ""


class Standard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A written standard. `house`: the levels are an assumption of ours, the document has none."""

    id: str
    title: str
    source: str
    version: str
    house: bool
    clauses: tuple[Clause, ...]
    precedence: tuple[str, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    ledger: tuple[LedgerRule, ...] = ()
