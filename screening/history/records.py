"""What is known of one conversation when several are looked at together. Times are microseconds UTC."""

import unicodedata
from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import NamedTuple

import msgspec

from screening.detect.conduct.facts import Facts
from screening.types import Conversation, Flag, Screening

DIVERSIONS = frozenset({"diversion.platform", "diversion.private_contact"})
COMPLAINTS = frozenset({"sensitive_complaint", "complaint.ignored"})


class Occurrence(NamedTuple):
    """Something that happened in a conversation, so many `times`; `turn` and `at` are None where they are not known."""

    conversation_id: str
    turn: int | None
    at: int | None
    vendor_id: str | None
    agent_id: str | None
    customer_id: str | None
    times: int = 1


class Record(msgspec.Struct, frozen=True):
    """One conversation: whose it is, when it was, its facts, and the active flags that other conversations bear upon.

    `diversions` holds (turn, time); `complaint` names what the customer complained of, None where there was no complaint.
    """

    conversation_id: str
    vendor_id: str | None
    agent_id: str | None
    customer_id: str | None
    began_at: int | None
    ended_at: int | None
    solved: bool | None
    facts: Facts
    diversions: tuple[tuple[int, int | None], ...] = ()
    unkept_turns: tuple[int, ...] = ()
    complaint: str | None = None

    def occurrence(self, turn: int | None, at: int | None, times: int = 1) -> Occurrence:
        """Something that happened here; where its time is not known, the conversation's beginning stands for it."""
        began = self.began_at if at is None else at
        return Occurrence(self.conversation_id, turn, began, self.vendor_id, self.agent_id, self.customer_id, times)


def record_of(conversation: Conversation, screening: Screening, facts: Facts, zone: tzinfo) -> Record:
    """The record of a screened conversation; times without an offset are taken in `zone`."""

    def micros(at: datetime | None) -> int | None:
        return None if at is None else round((at if at.tzinfo is not None else at.replace(tzinfo=zone)).timestamp() * 1_000_000)

    times = [at for turn in conversation.turns if (at := micros(turn.at)) is not None]
    active = [flag for flag in screening.flags if flag.status == "active"]
    solved = conversation.attributes.get("solved")
    order = conversation.attributes.get("order_id")
    began, ended = micros(conversation.started_at), micros(conversation.ended_at)
    return Record(
        conversation_id=conversation.id,
        vendor_id=conversation.vendor_id,
        agent_id=conversation.agent_id,
        customer_id=conversation.customer_id,
        began_at=min(times, default=None) if began is None else began,
        ended_at=max(times, default=None) if ended is None else ended,
        solved=solved if isinstance(solved, bool) else None,
        facts=facts,
        diversions=tuple(
            (flag.turn, micros(conversation.turns[flag.turn].at)) for flag in _of(active, DIVERSIONS) if flag.turn is not None
        ),
        unkept_turns=tuple(flag.turn for flag in _of(active, {"promise.unkept"}) if flag.turn is not None),
        complaint=complaint(
            facts.complaint_cause, order if isinstance(order, str) else None, flagged=bool(_of(active, COMPLAINTS))
        ),
    )


def complaint(cause: str | None, order_id: str | None, *, flagged: bool) -> str | None:
    """What a customer complained of: the cause that the source gives, else the order where the conversation shows a complaint."""
    if cause is not None:
        return unicodedata.normalize("NFKC", cause).strip().casefold()
    return f"订单 {order_id.strip()}" if flagged and order_id and order_id.strip() else None


def _of(flags: Sequence[Flag], signals: set[str] | frozenset[str]) -> list[Flag]:
    return [flag for flag in flags if flag.signal in signals]
