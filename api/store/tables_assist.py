"""What became of verdicts on drafts: suggestions taken, warnings overridden or dismissed. Rows are only added."""

from sqlalchemy import CheckConstraint, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from api.store.base import Base, Id, Json, Name, Time, Word, one_of, refers_to

OUTCOMES = ("accepted", "overridden", "dismissed")


class AssistFeedback(Base):
    """One desk's answer to one verdict. `flags` (JSON) say what was shown, without words; `versions` (JSON) by what.

    `conversation` is the running conversation's own id; `conversation_id` the row that reviewers see an overridden message in.
    """

    __tablename__ = "assist_feedback"
    __table_args__ = (
        CheckConstraint(one_of("outcome", *OUTCOMES), name="outcome"),
        UniqueConstraint("check_id", "outcome"),
        Index(None, "vendor_id", "id"),
        Index(None, "at"),
    )

    id: Mapped[Id]
    check_id: Mapped[Word]
    at: Mapped[Time]
    actor: Mapped[Name]
    vendor_id: Mapped[Name | None]
    agent_id: Mapped[Name | None]
    conversation: Mapped[Name]
    outcome: Mapped[Word]
    verdict: Mapped[Word]
    flags: Mapped[Json]
    versions: Mapped[Json]
    rule: Mapped[Name | None]
    note: Mapped[str | None] = mapped_column(String(4000))
    conversation_id: Mapped[int | None] = refers_to("conversations.id")
