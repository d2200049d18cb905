"""What a desk made of a verdict. A message that went out against it is kept with its context, so that a reviewer sees it."""

from typing import Literal, NamedTuple

import msgspec
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import select
from sqlalchemy.orm import Session

from api import audit, bringing, ingest
from api.access import Principal, visible
from api.assist.verdict import Draft, Verdict, resaid
from api.errors import ApiError, conflict
from api.store.tables import StoredConversation
from api.store.tables_assist import AssistFeedback
from api.wiring import Service
from screening.types import Conversation

Outcome = Literal["accepted", "overridden", "dismissed"]
PATIENCE_MS = 60_000
"""Nobody waits with a message for this: the draft is judged again in full."""
_PREFIX = "assist:"


class Answer(NamedTuple):
    """A desk's answer: what was judged and what became of it. `sent` are the words that went out, where they differ from the draft."""

    check_id: str
    outcome: Outcome
    draft: Draft
    sent: str | None
    rule: str | None
    note: str | None


class Kept(NamedTuple):
    """The row of an answer; `queued` is the id of the conversation under which reviewers find the message."""

    row: AssistFeedback
    queued: str | None
    created: bool


async def keep(service: Service, principal: Principal, answer: Answer) -> Kept:
    """Keep an answer once; the same again changes nothing.

    The draft is judged anew, so that nobody's word is taken for what was flagged. Raises 409 where the id of the check was used
    for another conversation.
    """
    earlier = await run_in_threadpool(_earlier, service, principal, answer)
    if earlier is not None:
        return earlier
    verdict = await service.desk.judge(msgspec.structs.replace(answer.draft, deadline_ms=PATIENCE_MS))
    if answer.outcome == "accepted" and answer.rule is None and not verdict.flags:
        raise ApiError(
            422,
            "invalid",
            "nothing is flagged in this draft, so no suggestion was accepted; send the draft as it was checked",
            "/draft",
        )
    queued = None
    if answer.outcome == "overridden":
        sent = _sent(service, answer)
        screening = await service.engine.screen(sent)
        if screening.candidates or not screening.complete:
            await run_in_threadpool(bringing.keep, service, principal, sent, screening)
            queued = sent.id
    return await run_in_threadpool(_write, service, principal, answer, verdict, queued)


def _sent(service: Service, answer: Answer) -> Conversation:
    """The message as it went out behind its context, as a conversation of its own: the running one comes in by itself.

    Times are left out: of a part of a conversation they would say that replies are late.
    """
    window = answer.draft.window
    if answer.sent is not None:
        window = resaid(window, answer.sent, service.settings)
    told = {"conversation_id": window.id, "check_id": answer.check_id, "outcome": answer.outcome}
    return msgspec.structs.replace(
        window,
        id=_PREFIX + answer.check_id,
        turns=tuple(msgspec.structs.replace(turn, at=None, ends_at=None) for turn in window.turns),
        ended_at=None,
        ended_by=None,
        attributes={"assist": told},
    )


def _earlier(service: Service, principal: Principal, answer: Answer) -> Kept | None:
    with service.store.read() as session:
        return _found(session, principal, answer)


def _found(session: Session, principal: Principal, answer: Answer) -> Kept | None:
    statement = (
        select(AssistFeedback, StoredConversation.external_id)
        .outerjoin(StoredConversation, StoredConversation.id == AssistFeedback.conversation_id)
        .where(AssistFeedback.check_id == answer.check_id)
    )
    found = None
    for row, queued in session.execute(statement):
        if row.conversation != answer.draft.window.id or not visible(principal, row.vendor_id):
            raise conflict(
                "id_taken", "this check was answered for another conversation; send the `check_id` of your own", "/check_id"
            )
        if row.outcome == answer.outcome:
            found = Kept(row, queued, created=False)
    return found


def _write(service: Service, principal: Principal, answer: Answer, verdict: Verdict, queued: str | None) -> Kept:
    at = service.clock()

    def write(session: Session) -> Kept:
        earlier = _found(session, principal, answer)
        if earlier is not None:
            return earlier
        shown = [
            {"signal": f.signal, "start": f.start, "end": f.end, "score": f.score, "source": f.source, "action": f.action}
            for f in verdict.flags
        ]
        row = AssistFeedback(
            check_id=answer.check_id,
            at=at,
            actor=principal.actor,
            vendor_id=answer.draft.window.vendor_id,
            agent_id=answer.draft.window.agent_id,
            conversation=answer.draft.window.id,
            outcome=answer.outcome,
            verdict=verdict.verdict,
            flags=msgspec.json.encode(shown).decode(),
            versions=msgspec.json.encode(verdict.versions, order="deterministic").decode(),
            rule=answer.rule,
            note=answer.note,
            conversation_id=_row_of(session, queued),
        )
        session.add(row)
        session.flush()
        if answer.outcome == "overridden":
            detail: dict[str, object] = {"verdict": verdict.verdict, "agent_id": row.agent_id, "flags": len(verdict.flags)}
            audit.record(
                session,
                at=at,
                actor=principal.actor,
                action="warning_overridden",
                subject=f"check:{answer.check_id}",
                detail=detail,
            )
        session.expunge(row)
        return Kept(row, queued, created=True)

    return ingest.retried(service.store, write)


def _row_of(session: Session, queued: str | None) -> int | None:
    return (
        None if queued is None else session.scalar(select(StoredConversation.id).where(StoredConversation.external_id == queued))
    )
