"""The bodies of the review endpoints."""

from typing import Annotated, Any, Literal

import msgspec
from pydantic import AwareDatetime, BaseModel, Field

from api.access import Principal
from api.clock import to_datetime
from api.review.decisions import CandidateVerdict, FlagVerdict, Level, Reason
from api.review.filters import Status
from api.review.history import Entry, Report
from api.review.queue import Item
from api.schemas import Input, Note, RowId, Text
from screening.types import Channel

Score = Annotated[float, Field(ge=0, le=1)]
_WORDS = "Words of two characters or more, cut at blanks, each as it stands in the text; either script finds both."
Number = Annotated[int, Field(ge=0, le=2**31 - 1)]


class CandidateFilters(Input):
    """What narrows the queue; all that is given must hold."""

    level: Level | None = None
    clause: Text | None = None
    signal: Text | None = None
    vendor: Text | None = None
    agent: Text | None = None
    channel: Channel | None = None
    occurred_from: Annotated[AwareDatetime | None, Field(description="Not before this time (with an offset).")] = None
    occurred_to: Annotated[AwareDatetime | None, Field(description="Before this time (with an offset).")] = None
    score_from: Score | None = None
    score_to: Score | None = None
    words: Annotated[Text | None, Field(description=_WORDS)] = None


class QueueFilters(CandidateFilters):
    """What narrows a page of the queue."""

    status: Status = "open"
    assignee: Annotated[Text | None, Field(description="The name of a user, `me`, or `nobody`.")] = None


class PageQuery(QueueFilters):
    """A page of the queue: its filters, its length, and where it begins."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str | None, Field(max_length=200, description="`next` of the page before.")] = None


class Decided(BaseModel):
    """The verdict in force, and what the candidate is by it; `decision_id` names where it comes from."""

    decision_id: int
    verdict: CandidateVerdict
    level: Level | None
    clause: str | None
    severe: bool | None


class CandidateItem(BaseModel):
    """A candidate as it stands in the queue; `flags` are numbers of flags of its screening."""

    id: int
    conversation_id: str
    screening_id: int
    standard: str
    clause: str
    level: Level
    title: str
    severe: bool
    points: int | None
    score: float
    priority: float
    flags: list[int]
    vendor_id: str | None
    agent_id: str | None
    channel: Channel
    occurred_at: AwareDatetime
    status: Status
    assignee: str | None
    claimed_until: AwareDatetime | None
    decided: Decided | None

    @classmethod
    def of(cls, item: Item, principal: Principal) -> "CandidateItem":
        """As the principal may see it: one vendor's people do not learn who works on it."""
        row = item.candidate
        decided = None
        if row.decision_id is not None:
            fields = {name: getattr(row, f"decided_{name}") for name in ("verdict", "level", "clause", "severe")}
            decided = Decided(decision_id=row.decision_id, **fields)
        same = ("id", "screening_id", "standard", "clause", "level", "title", "severe", "points", "score", "priority")
        return cls(
            **{name: getattr(row, name) for name in (*same, "vendor_id", "agent_id", "channel", "status")},
            conversation_id=item.external_id,
            flags=msgspec.json.decode(row.flags, type=list[int]),
            occurred_at=to_datetime(row.occurred_at),
            assignee=item.assignee if principal.vendor_id is None else None,
            claimed_until=None if row.claimed_until is None else to_datetime(row.claimed_until),
            decided=decided,
        )


class CandidatePage(BaseModel):
    """A page of the queue. `next` is the cursor of the following page, null on the last."""

    items: list[CandidateItem]
    next: str | None


class QueueCounts(BaseModel):
    """How many candidates each value of a filter would leave, the others kept; counting stops at `limit`, above it means more."""

    limit: int
    total: int
    status: dict[str, int]
    level: dict[str, int]
    channel: dict[str, int]
    clause: dict[str, int]


class NextCandidate(BaseModel):
    """The candidate that the caller now holds; null where nothing waits."""

    candidate: CandidateItem | None


class ShareInput(Input):
    """A user who gets candidates, and how many in a hundred; without a percentage on any, all get the same in turn."""

    user: Text
    percent: Annotated[float, Field(gt=0, le=100)] | None = None


class Assignment(Input):
    """Deal the first `limit` free candidates that match; what percentages leave of a hundred stays free."""

    to: Annotated[list[ShareInput], Field(min_length=1, max_length=100)]
    filters: CandidateFilters = CandidateFilters()
    limit: Annotated[int, Field(ge=1, le=10_000)] = 1_000


class Assigned(BaseModel):
    """How many candidates each user got."""

    assigned: dict[str, int]


class FlagVerdictInput(Input):
    """A verdict on flag `n`; a rejection needs a reason."""

    n: Number
    verdict: FlagVerdict
    reason: Reason | None = None
    note: Note | None = None


class DecisionInput(Input):
    """A judgement on a candidate that the caller holds; `screening_id` is the screening that was looked at."""

    screening_id: RowId
    verdict: CandidateVerdict | None = None
    reason: Reason | None = None
    level: Level | None = None
    clause: Text | None = None
    severe: bool | None = None
    note: Note | None = None
    flags: Annotated[tuple[FlagVerdictInput, ...], Field(max_length=1000)] = ()


class UndoInput(Input):
    """Why something is taken back."""

    note: Note | None = None


class DecisionOut(BaseModel):
    """A decision. `flag` is the number of the flag it is on, `undoes` the decision that it takes back."""

    id: int
    kind: Literal["candidate", "flag", "note", "undo"]
    candidate_id: int | None
    flag: int | None
    verdict: FlagVerdict | None
    reason: Reason | None
    level: Level | None
    clause: str | None
    severe: bool | None
    note: str | None
    screening_id: int
    versions: str
    user: str | None
    at: AwareDatetime
    undoes: int | None
    undone: bool

    @classmethod
    def of(cls, entry: Entry, principal: Principal) -> "DecisionOut":
        """As the principal may see it: one vendor's people see neither names nor notes."""
        row, within = entry.decision, principal.vendor_id is None
        same = (
            "id",
            "kind",
            "candidate_id",
            "verdict",
            "reason",
            "level",
            "clause",
            "severe",
            "screening_id",
            "versions",
            "undoes",
        )
        return cls(
            **{name: getattr(row, name) for name in same},
            flag=entry.flag,
            note=row.note if within else None,
            user=entry.user if within else None,
            at=to_datetime(row.at),
            undone=entry.undone,
        )


class Decisions(BaseModel):
    """Decisions in the order in which they were made."""

    decisions: list[DecisionOut]


class MissedInput(Input):
    """Words that break a clause unseen: `start` and `end` are half-open, in code points of the original text; `quote` the words."""

    conversation_id: Text
    screening_id: RowId
    turn: Number
    start: Number
    end: Number
    quote: Annotated[str, Field(min_length=1, max_length=20_000)]
    standard: Text
    clause: Text
    signal: Text | None = None
    note: Note | None = None


class MissedOut(BaseModel):
    """A report of a missed incident."""

    id: int
    screening_id: int
    turn: int
    start: int
    end: int
    standard: str
    clause: str
    level: Level
    signal: str | None
    note: str | None
    user: str
    at: AwareDatetime
    undone: bool

    @classmethod
    def of(cls, found: Report) -> "MissedOut":
        """As it is shown to reviewers."""
        names = ("id", "screening_id", "turn", "start", "end", "standard", "clause", "level", "signal", "note")
        same: dict[str, Any] = {name: getattr(found.report, name) for name in names}
        return cls(**same, user=found.user, at=to_datetime(found.report.at), undone=found.undone)
