"""The vocabulary of CONTRACT.md as frozen types; one name per thing everywhere.

Spans are half-open and count Unicode code points of the *original* text of a turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec

Role = Literal["agent", "customer", "bot", "system"]
Channel = Literal["online", "phone", "email", "social"]
Status = Literal["active", "shadow", "excused"]
Level = Literal["A", "B", "C"]
SourceKind = Literal["rule", "model", "conduct", "privacy"]


class Turn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One message or utterance. `at`/`ends_at`: when it began / the speaker stopped (phone)."""

    role: Role
    text: str
    at: datetime | None = None
    kind: Literal["text", "image", "voice", "card"] = "text"
    ends_at: datetime | None = None


class Conversation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole conversation as CONTRACT.md fixes it; unknown extra fields live in `attributes`."""

    id: str
    turns: tuple[Turn, ...]
    channel: Channel = "online"
    vendor_id: str | None = None
    agent_id: str | None = None
    customer_id: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    ended_by: Literal["agent", "customer", "system"] | None = None
    attributes: dict[str, Any] = {}


class Span(NamedTuple):
    """Half-open range of code points."""

    start: int
    end: int


class CleanTurn:
    """One turn's text in the clean view.

    `origin[i]` is the index in `text` of the character that clean character `i` came from; None stands for the identity.
    """

    __slots__ = ("clean", "origin", "text")

    def __init__(self, text: str, clean: str, origin: Sequence[int] | None):
        self.text = text
        self.clean = clean
        self.origin = origin

    def span(self, start: int, end: int) -> Span:
        """The half-open range of the original that the clean range [start, end), not empty, stands for."""
        if self.origin is None:
            return Span(start, end)
        return Span(self.origin[start], self.origin[end - 1] + 1)


class Source(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who found a flag. `prior`: the score still rests on the development set, not on judged flags."""

    kind: SourceKind
    id: str
    version: int
    prior: bool = False


class Flag(msgspec.Struct, frozen=True):
    """One finding with the exact words; `turn`, `start`, `end` are null for a finding on the whole conversation."""

    signal: str
    turn: int | None
    start: int | None
    end: int | None
    quote: str
    score: float
    status: Status
    source: Source
    why: str
    suggestion: str | None = None
    excused_by: str | None = None


class Candidate(msgspec.Struct, frozen=True):
    """An incident candidate: one clause of one standard, resting on `flags` (indices into the screening's flags)."""

    standard: str
    clause: str
    level: Level
    title: str
    score: float
    flags: tuple[int, ...]
    severe: bool
    points: int | None


class Failure(msgspec.Struct, frozen=True):
    """A part that did not do its work; the screening is then incomplete."""

    detector: str
    error: str
    turn: int | None = None


class Versions(msgspec.Struct, frozen=True):
    """Everything that decides the bytes of a screening besides the conversation."""

    code: str
    normaliser: str
    lexicon: str
    models: dict[str, str]
    standards: dict[str, str]
    settings: str
    engine: str


class Screening(msgspec.Struct, frozen=True):
    """The result for one conversation; see CONTRACT.md."""

    conversation_id: str
    complete: bool
    not_checked: tuple[str, ...]
    flags: tuple[Flag, ...]
    candidates: tuple[Candidate, ...]
    level: Level | None
    versions: Versions
    failures: tuple[Failure, ...]


class Finding(NamedTuple):
    """What a detector hands to the pipeline: a flag before its score is known.

    `turn` None means the whole conversation; `span` None the whole turn. `references` (standard/clause) narrow the clauses
    that the signal leads to; `standards` the standards whose threshold was broken (None: no threshold). `interval` is the
    stretch of time (POSIX seconds) that a timing finding is about. `score` None leaves it to the signal's measured precision (`prior`: on
    the development set alone).
    """

    signal: str
    turn: int | None
    span: Span | None
    kind: SourceKind
    id: str
    version: int
    why: str
    status: Status = "active"
    suggestion: str | None = None
    excused_by: str | None = None
    score: float | None = None
    prior: bool = False
    references: tuple[str, ...] = ()
    standards: frozenset[str] | None = None
    interval: tuple[float, float] | None = None
