"""Figures of conversations that statistics count: taken from their content when it is stored or screened again."""

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from api.store.base import Base, BigInt, Name, Time, Word, one_of

RATINGS = ("satisfied", "neutral", "dissatisfied")


class Measures(Base):
    """One conversation's figures; null where its content does not tell. Seconds to the first and the mean human reply.

    `occurred_at` is as in `StoredCandidate`.
    """

    __tablename__ = "measures"
    __table_args__ = (
        CheckConstraint(one_of("rating", *RATINGS), name="rating"),
        Index(None, "occurred_at", "vendor_id"),
        Index(None, "vendor_id", "occurred_at"),
    )

    conversation_id: Mapped[int] = mapped_column(
        BigInt, ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    vendor_id: Mapped[Name | None]
    agent_id: Mapped[Name | None]
    channel: Mapped[Word]
    occurred_at: Mapped[Time]
    rating: Mapped[Word | None]
    solved: Mapped[bool | None]
    answered: Mapped[bool | None]
    queue_seconds: Mapped[float | None]
    first_seconds: Mapped[float | None]
    mean_seconds: Mapped[float | None]
