"""A conversation's figures for statistics: rating, whether it was answered and solved, how long the customer waited.

A reply is timed as for the signals response.*: from the first unanswered customer turn to the next turn of a person on the agent's
side. Announced holds are not taken off and automatic replies under an agent's name are not told apart: that is the detectors' work.
"""

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any, NamedTuple

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from api.store.tables_measures import Measures
from screening.types import Conversation

_RATINGS = {
    "satisfied": ("satisfied", "满意", "非常满意", "很满意"),
    "neutral": ("neutral", "一般"),
    "dissatisfied": ("dissatisfied", "不满意", "非常不满意", "很不满意"),
}
_WORDS = {word: rating for rating, words in _RATINGS.items() for word in words}
_YES, _NO = ("true", "yes", "1", "是", "已解决", "已接起", "已接通"), ("false", "no", "0", "否", "未解决", "未接起", "未接通")


class Figures(NamedTuple):
    """See `Measures`."""

    rating: str | None
    solved: bool | None
    answered: bool | None
    queue_seconds: float | None
    first_seconds: float | None
    mean_seconds: float | None


class Counted(NamedTuple):
    """A stored conversation with its content, and when it occurred (microseconds)."""

    conversation_id: int
    conversation: Conversation
    occurred_at: int


def of(conversation: Conversation, zone: tzinfo) -> Figures:
    """The figures of a conversation; None where it does not tell."""
    attributes = conversation.attributes
    gaps = _gaps(conversation, zone)
    return Figures(
        rating=_WORDS.get(str(attributes.get("rating")).strip().lower()),
        solved=_truth(attributes.get("solved")),
        answered=_truth(attributes.get("answered")),
        queue_seconds=_seconds(attributes.get("queue_seconds")),
        first_seconds=gaps[0] if gaps else None,
        mean_seconds=sum(gaps) / len(gaps) if gaps else None,
    )


def keep(session: Session, counted: Sequence[Counted], zone: tzinfo) -> None:
    """Store the figures of conversations in place of earlier ones."""
    if not counted:
        return
    session.execute(delete(Measures).where(Measures.conversation_id.in_([one.conversation_id for one in counted])))
    rows: list[Mapping[str, Any]] = [
        {
            "conversation_id": one.conversation_id,
            "vendor_id": one.conversation.vendor_id,
            "agent_id": one.conversation.agent_id,
            "channel": one.conversation.channel,
            "occurred_at": one.occurred_at,
        }
        | of(one.conversation, zone)._asdict()
        for one in counted
    ]
    session.execute(insert(Measures.__table__), rows)  # type: ignore[arg-type]  # the plain table needs no objects


def _gaps(conversation: Conversation, zone: tzinfo) -> list[float]:
    """Seconds of every reply in order; nothing where a turn has no time or times go backwards."""
    gaps: list[float] = []
    waiting: float | None = None
    last = float("-inf")
    for turn in conversation.turns:
        if turn.at is None:
            if turn.role == "system":
                continue
            return []
        at = (turn.at if turn.at.tzinfo is not None else turn.at.replace(tzinfo=zone)).timestamp()
        if at < last:
            return []
        last = at
        if turn.role == "customer" and waiting is None:
            waiting = at
        elif turn.role == "agent" and waiting is not None:
            gaps.append(at - waiting)
            waiting = None
    return gaps


def _truth(value: object) -> bool | None:
    word = str(value).strip().lower()
    return True if word in _YES else False if word in _NO else None


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9 else None
