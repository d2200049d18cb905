"""Judged turns as labelled ones, in the format of models/data/README.md, so that training and evaluation read them.

A confirmed flag or a reported miss is a label; a signal whose flags were all rejected is `near`: the turn is its innocent neighbour.
`judged` (beyond the format) names the signals that people decided on: of all others nothing is known. A rejection because the
clause was misread, or because the text was normalised wrongly, says nothing about the words, and is left out. Where verdicts differ, the label stands.
"""

from collections.abc import Iterator
from heapq import merge
from itertools import groupby
from typing import Any, NamedTuple
from zlib import crc32

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from api.access import Principal, scoped
from api.masking import masked_conversation
from api.review.history import flag_verdict_in_force
from api.store.bodies import Bodies
from api.store.tables import Revision, StoredConversation, StoredFlag, StoredScreening
from api.store.tables_review import Decision, MissedReport
from lexicons.signals import TEXT_SIGNALS
from screening.types import Conversation

CONTEXT = 4
PARTS = 8
"""Turns of one conversation stay in one of so many `brief`s, by which training splits."""
_SILENT = ("clause_misread", "normalisation_fault")


class _Label(NamedTuple):
    """What people said on words of a revision: they show the signal, or they do not."""

    revision: int
    turn: int
    start: int
    end: int
    signal: str
    shown: bool


def labelled_turns(session: Session, bodies: Bodies, principal: Principal, *, raw: bool) -> Iterator[bytes]:
    """One JSON line for each judged turn, by revision and turn; personal data is covered unless `raw`."""
    labels = merge(_judged(session, principal), _missed(session, principal), key=lambda label: label[:4])
    for revision, of_revision in groupby(labels, key=lambda label: label.revision):
        body = bodies.unpack(session.scalars(select(Revision.body).where(Revision.id == revision)).one())
        conversation = msgspec.json.decode(body, type=Conversation)
        shown = conversation if raw else masked_conversation(conversation)
        for turn, of_turn in groupby(of_revision, key=lambda label: label.turn):
            record = _record(shown, revision, turn, list(of_turn))
            if record is not None:
                yield msgspec.json.encode(record) + b"\n"


def _judged(session: Session, principal: Principal) -> Iterator[_Label]:
    statement = (
        select(
            StoredScreening.revision_id,
            StoredFlag.turn,
            StoredFlag.start,
            StoredFlag.end,
            StoredFlag.signal,
            Decision.verdict,
        )
        .select_from(Decision)
        .join(StoredFlag, StoredFlag.id == Decision.flag_id)
        .join(StoredScreening, StoredScreening.id == StoredFlag.screening_id)
        .join(StoredConversation, StoredConversation.id == Decision.conversation_id)
        .where(
            flag_verdict_in_force(),
            Decision.verdict != "unsure",
            Decision.reason.is_(None) | Decision.reason.not_in(_SILENT),
            StoredFlag.signal.in_(TEXT_SIGNALS),
            StoredFlag.turn.is_not(None),
        )
        .order_by(StoredScreening.revision_id, StoredFlag.turn, StoredFlag.start, StoredFlag.end, StoredFlag.signal)
    )
    rows = session.execute(scoped(statement, principal, StoredConversation.vendor_id), execution_options={"yield_per": 1000})
    for row in rows:
        revision, turn, start, end, signal, verdict = row
        if turn is not None and start is not None and end is not None:
            yield _Label(revision, turn, start, end, signal, verdict == "confirmed")


def _missed(session: Session, principal: Principal) -> Iterator[_Label]:
    undo = aliased(MissedReport)
    statement = (
        select(MissedReport.revision_id, MissedReport.turn, MissedReport.start, MissedReport.end, MissedReport.signal)
        .join(StoredConversation, StoredConversation.id == MissedReport.conversation_id)
        .where(
            MissedReport.undoes.is_(None),
            ~select(undo.id).where(undo.undoes == MissedReport.id).exists(),
            MissedReport.signal.in_(TEXT_SIGNALS),
        )
        .order_by(MissedReport.revision_id, MissedReport.turn, MissedReport.start, MissedReport.end, MissedReport.signal)
    )
    for row in session.execute(scoped(statement, principal, StoredConversation.vendor_id)):
        yield _Label(row[0], row[1], row[2], row[3], row[4] or "", True)


def _record(conversation: Conversation, revision: int, turn: int, labels: list[_Label]) -> dict[str, Any] | None:
    judged = conversation.turns[turn]
    if judged.role not in ("agent", "customer"):
        return None
    shown = {(label.signal, label.start, label.end): None for label in labels if label.shown}
    signals = {signal for signal, _, _ in shown}
    return {
        "id": f"feedback-{revision}-{turn}",
        "kind": "turn",
        "brief": f"feedback-{crc32(conversation.id.encode()) % PARTS}",
        "channel": conversation.channel,
        "context": [[before.role, before.text] for before in conversation.turns[max(0, turn - CONTEXT) : turn]],
        "role": judged.role,
        "text": judged.text,
        "labels": [{"signal": signal, "quote": judged.text[start:end]} for signal, start, end in shown],
        "style": "feedback",
        "near": sorted({label.signal for label in labels} - signals),
        "judged": sorted({label.signal for label in labels}),
    }
