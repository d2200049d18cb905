"""What came in and what the machine found: conversations with their revisions, screenings, flags and candidates."""

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from api.store.base import Base, BigInt, Body, Digest, Id, Json, Name, Time, Word, one_of, refers_to

CHANNELS = ("online", "phone", "email", "social")
LEVELS = ("A", "B", "C")
CANDIDATE_STATUS = ("open", "claimed", "decided", "outdated")


class StoredConversation(Base):
    """One conversation by its own id (`external_id`); its text stands in the revisions, `revision` is the number in force."""

    __tablename__ = "conversations"
    __table_args__ = (
        CheckConstraint(one_of("channel", *CHANNELS), name="channel"),
        Index(None, "vendor_id", "started_at"),
        Index(None, "agent_id", "started_at"),
        Index(None, "customer_id", "started_at"),
        Index(None, "started_at"),
    )

    id: Mapped[Id]
    external_id: Mapped[str] = mapped_column(String(200), unique=True)
    revision: Mapped[int]
    vendor_id: Mapped[Name | None]
    agent_id: Mapped[Name | None]
    customer_id: Mapped[Name | None]
    channel: Mapped[Word]
    started_at: Mapped[Time | None]
    created_at: Mapped[Time]
    updated_at: Mapped[Time]


class Revision(Base):
    """The content of a conversation as it came: canonical JSON, packed. `number` counts from 1; none is ever overwritten."""

    __tablename__ = "revisions"
    __table_args__ = (UniqueConstraint("conversation_id", "number"),)

    id: Mapped[Id]
    conversation_id: Mapped[int] = refers_to("conversations.id")
    number: Mapped[int]
    content_hash: Mapped[Digest]
    body: Mapped[Body]
    created_at: Mapped[Time]


class VersionSet(Base):
    """The `versions` of screenings, each kept once under the digest of its canonical JSON."""

    __tablename__ = "version_sets"

    digest: Mapped[Digest] = mapped_column(primary_key=True)
    body: Mapped[Json]


class StoredScreening(Base):
    """One run over one revision: canonical JSON, packed. Exactly one of a conversation's screenings is `latest`."""

    __tablename__ = "screenings"
    __table_args__ = (
        CheckConstraint(one_of("cause", "ingest", "revision", "rescreen", "attributes"), name="cause"),
        Index(
            "uq_screenings_latest", "conversation_id", unique=True, sqlite_where=text("latest"), postgresql_where=text("latest")
        ),
        Index(None, "conversation_id", "id"),
        Index(None, "latest", "lexicon_hash", "id"),
        Index(None, "revision_id"),
        Index("ix_screenings_incomplete", "id", sqlite_where=text("incomplete"), postgresql_where=text("incomplete")),
    )

    id: Mapped[Id]
    conversation_id: Mapped[int] = refers_to("conversations.id")
    revision_id: Mapped[int] = refers_to("revisions.id")
    versions: Mapped[Digest] = mapped_column(ForeignKey("version_sets.digest", ondelete="RESTRICT"))
    lexicon_hash: Mapped[Digest]
    cause: Mapped[Word]
    level: Mapped[str | None] = mapped_column(String(1))
    incomplete: Mapped[bool]
    latest: Mapped[bool]
    body: Mapped[Body]
    created_at: Mapped[Time]


class StoredFlag(Base):
    """Flag `n` of a screening, for statistics, feedback and the search for overlapping evidence; its words stand in the body."""

    __tablename__ = "flags"
    __table_args__ = (
        UniqueConstraint("screening_id", "n"),
        Index(None, "signal", "screening_id"),
        Index(None, "rule", "screening_id"),
    )

    id: Mapped[Id]
    screening_id: Mapped[int] = refers_to("screenings.id")
    n: Mapped[int]
    signal: Mapped[Word]
    source: Mapped[Word]
    rule: Mapped[Name]
    rule_version: Mapped[int]
    turn: Mapped[int | None]
    start: Mapped[int | None]
    end: Mapped[int | None]
    score: Mapped[float]
    status: Mapped[Word]


class StoredCandidate(Base):
    """Candidate `n` of a screening, with everything the review queue filters and sorts by.

    `flags` is the JSON list of flag numbers it rests on; their words stand in the body. `occurred_at` is the start
    of the conversation (else its first timed turn, else when it came in). `decided_*` is the verdict in force and `decision_id` the decision it comes from (perhaps
    one on the same words in an earlier screening); the machine's own level and clause never change.
    """

    __tablename__ = "candidates"
    __table_args__ = (
        CheckConstraint(one_of("status", *CANDIDATE_STATUS), name="status"),
        CheckConstraint(one_of("level", *LEVELS), name="level"),
        UniqueConstraint("screening_id", "n"),
        # the parent of candidate_signals' key: status and priority are handed down by the database itself
        UniqueConstraint("id", "status", "priority"),
        # what a page is filtered by on the way stands in the index, so that rows that do not match are passed without a look
        Index("ix_candidates_queue", "status", "priority", "id", "score", "occurred_at", "level", "channel"),
        Index(
            "ix_candidates_free",
            *("priority", "id"),
            sqlite_where=text("status = 'open' AND assignee_id IS NULL"),
            postgresql_where=text("status = 'open' AND assignee_id IS NULL"),
        ),
        Index("ix_candidates_queue_vendor", "status", "vendor_id", "priority", "id", "score", "occurred_at", "level"),
        Index("ix_candidates_queue_level", "status", "level", "priority", "id", "score", "occurred_at"),
        Index("ix_candidates_queue_clause", "status", "clause", "priority", "id", "score", "occurred_at", "level"),
        Index("ix_candidates_queue_agent", "status", "agent_id", "priority", "id"),
        Index("ix_candidates_queue_channel", "status", "channel", "priority", "id"),
        Index("ix_candidates_queue_time", "status", "occurred_at"),
        Index("ix_candidates_queue_score", "status", "score"),
        # for NULL, too, on SQLite; PostgreSQL has ix_candidates_free for these
        Index("ix_candidates_assignee", "assignee_id", "status", "priority", "id"),
        Index(
            "ix_candidates_claimed_until",
            "claimed_until",
            sqlite_where=text("status = 'claimed'"),
            postgresql_where=text("status = 'claimed'"),
        ),
        Index(None, "conversation_id", "status"),
        # all that the dashboard groups and filters by: a period is counted without a look at the rows
        Index(
            "ix_candidates_period",
            *("occurred_at", "status", "level", "decided_level", "decided_verdict", "channel", "vendor_id", "agent_id"),
            *("standard", "clause"),
        ),
    )

    id: Mapped[Id]
    screening_id: Mapped[int] = refers_to("screenings.id")
    conversation_id: Mapped[int] = refers_to("conversations.id")
    n: Mapped[int]
    standard: Mapped[Name]
    clause: Mapped[Name]
    level: Mapped[str] = mapped_column(String(1))
    title: Mapped[Name]
    severe: Mapped[bool]
    points: Mapped[int | None]
    score: Mapped[float]
    flags: Mapped[Json]
    vendor_id: Mapped[Name | None]
    agent_id: Mapped[Name | None]
    channel: Mapped[Word]
    occurred_at: Mapped[Time]
    created_at: Mapped[Time]
    priority: Mapped[float]
    status: Mapped[Word]
    assignee_id: Mapped[int | None] = refers_to("users.id")
    claimed_until: Mapped[Time | None]
    decision_id: Mapped[int | None] = mapped_column(BigInt)
    decided_verdict: Mapped[Word | None]
    decided_level: Mapped[str | None] = mapped_column(String(1))
    decided_clause: Mapped[Name | None]
    decided_severe: Mapped[bool | None]


class CandidateSignal(Base):
    """A signal of a candidate's flags. `status` and `priority` follow the candidate's by the foreign key's cascade: never set."""

    __tablename__ = "candidate_signals"
    __table_args__ = (
        ForeignKeyConstraint(
            ["candidate_id", "status", "priority"],
            ["candidates.id", "candidates.status", "candidates.priority"],
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        Index("ix_candidate_signals_queue", "signal", "status", "priority", "candidate_id"),
    )

    candidate_id: Mapped[int] = mapped_column(BigInt, primary_key=True)
    signal: Mapped[Word] = mapped_column(primary_key=True)
    status: Mapped[Word]
    priority: Mapped[float]
