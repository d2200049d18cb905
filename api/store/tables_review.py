"""What people decided: decisions and reports of missed incidents. Rows are only added; triggers refuse changes."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from api.store.base import Base, Digest, Id, Name, Time, Word, one_of, refers_to


class Decision(Base):
    """One verdict on a candidate or a flag, with what the reviewer saw (`screening_id`, `versions`).

    An undo is a decision of kind undo that names the undone one in `undoes`; a note alone is a decision of kind note.
    """

    __tablename__ = "decisions"
    __table_args__ = (
        CheckConstraint(one_of("kind", "candidate", "flag", "note", "undo"), name="kind"),
        Index(None, "candidate_id", "id"),
        Index(None, "flag_id", "id"),
        Index(None, "conversation_id", "id"),
        Index(None, "user_id", "at"),
        Index(None, "at"),
    )

    id: Mapped[Id]
    kind: Mapped[Word]
    conversation_id: Mapped[int] = refers_to("conversations.id")
    screening_id: Mapped[int] = refers_to("screenings.id")
    versions: Mapped[Digest] = mapped_column(ForeignKey("version_sets.digest", ondelete="RESTRICT"))
    candidate_id: Mapped[int | None] = refers_to("candidates.id")
    flag_id: Mapped[int | None] = refers_to("flags.id")
    verdict: Mapped[Word | None]
    reason: Mapped[Word | None]
    level: Mapped[str | None] = mapped_column(String(1))
    clause: Mapped[Name | None]
    severe: Mapped[bool | None]
    note: Mapped[str | None] = mapped_column(String(4000))
    user_id: Mapped[int] = refers_to("users.id")
    at: Mapped[Time]
    undoes: Mapped[int | None] = refers_to("decisions.id", unique=True)


class MissedReport(Base):
    """An incident that the machine did not find: marked words (half-open, original text) and the clause they break."""

    __tablename__ = "missed_reports"
    __table_args__ = (Index(None, "conversation_id", "id"), Index(None, "at"))

    id: Mapped[Id]
    conversation_id: Mapped[int] = refers_to("conversations.id")
    revision_id: Mapped[int] = refers_to("revisions.id")
    screening_id: Mapped[int] = refers_to("screenings.id")
    versions: Mapped[Digest] = mapped_column(ForeignKey("version_sets.digest", ondelete="RESTRICT"))
    turn: Mapped[int]
    start: Mapped[int]
    end: Mapped[int]
    standard: Mapped[Name]
    clause: Mapped[Name]
    level: Mapped[str] = mapped_column(String(1))
    signal: Mapped[Word | None]
    note: Mapped[str | None] = mapped_column(String(4000))
    user_id: Mapped[int] = refers_to("users.id")
    at: Mapped[Time]
    undoes: Mapped[int | None] = refers_to("missed_reports.id", unique=True)
