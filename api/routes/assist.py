"""Before a message goes out: may it, what would be better, and what became of it."""

import time
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import select

from api import access, openapi
from api.access import Principal, require, scoped
from api.assist import feedback, verdict
from api.assist.feedback import Outcome
from api.assist.verdict import Draft
from api.bringing import owned_by
from api.clock import to_datetime
from api.dependencies import ServiceDep
from api.errors import ApiError, ErrorEnvelope
from api.schemas import Input, Note, Text
from api.store.tables import StoredConversation
from api.store.tables_assist import AssistFeedback
from api.wiring import Service

router = APIRouter(prefix="/v1/assist", tags=["assist"], responses=openapi.REFUSALS)
Desk = Annotated[Principal, Depends(require("screen"))]
_CONFLICT: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorEnvelope, "description": "The check was answered for another conversation"}
}
CHECK_ID = r"^[A-Za-z0-9._-]{1,40}$"


class FeedbackInput(Input):
    """What became of a checked draft. `conversation` and `draft` are those of the check; `sent` what went out, where it differs."""

    check_id: Annotated[str, Field(pattern=CHECK_ID)]
    outcome: Outcome
    conversation: dict[str, Any]
    draft: str
    sent: str | None = None
    rule: Text | None = None
    note: Note | None = None


class FeedbackOut(BaseModel):
    """An answer as it was kept. `review_conversation_id` names the conversation under which reviewers see an overridden message."""

    id: int
    check_id: str
    at: AwareDatetime
    actor: str
    vendor_id: str | None
    agent_id: str | None
    conversation_id: str
    outcome: Outcome
    verdict: Literal["pass", "advise", "block", "degraded"]
    flags: list[dict[str, Any]]
    rule: str | None
    note: str | None
    review_conversation_id: str | None

    @classmethod
    def of(cls, row: AssistFeedback, queued: str | None) -> "FeedbackOut":
        """As a row is shown."""
        return cls(
            id=row.id,
            check_id=row.check_id,
            at=to_datetime(row.at),
            actor=row.actor,
            vendor_id=row.vendor_id,
            agent_id=row.agent_id,
            conversation_id=row.conversation,
            outcome=row.outcome,  # type: ignore[arg-type]  # a constraint of the table
            verdict=row.verdict,  # type: ignore[arg-type]  # written from a Verdict
            flags=msgspec.json.decode(row.flags),
            rule=row.rule,
            note=row.note,
            review_conversation_id=queued,
        )


class FeedbackPage(BaseModel):
    """Answers, the newest first; `next` goes into `before` for the page after this one."""

    items: list[FeedbackOut]
    next: int | None


@router.post(
    "/check",
    response_class=Response,
    openapi_extra=openapi.draft_body(),
    responses={200: openapi.answer(openapi.ref("Verdict"), "Whether the draft may go out, and what to say instead")},
)
async def check(request: Request, service: ServiceDep, principal: Desk) -> Response:
    """Judge a draft in its context; nothing is stored."""
    started = time.perf_counter()
    draft = verdict.draft_of(await request.body(), service.settings)
    access.owned(principal, draft.window.vendor_id)
    return Response(msgspec.json.encode(await service.desk.judge(draft, started)), media_type="application/json")


@router.post("/feedback", status_code=201, responses={200: {"model": FeedbackOut, "description": "Kept before"}, **_CONFLICT})
async def add_feedback(body: FeedbackInput, response: Response, service: ServiceDep, principal: Desk) -> FeedbackOut:
    """Keep what became of a checked draft; a message that went out against the verdict comes before a reviewer."""
    draft = verdict.draft_from(body.conversation, body.draft, service.settings)
    draft = msgspec.structs.replace(draft, window=owned_by(principal, draft.window))
    if body.sent is not None:
        _check_sent(draft, body.sent, service)
    answer = feedback.Answer(body.check_id, body.outcome, draft, body.sent, body.rule, body.note)
    kept = await feedback.keep(service, principal, answer)
    response.status_code = 201 if kept.created else 200
    return FeedbackOut.of(kept.row, kept.queued)


def _check_sent(draft: Draft, sent: str, service: Service) -> None:
    try:
        verdict.resaid(draft.window, sent, service.settings)
    except ApiError as error:
        raise ApiError(error.status_code, error.code, error.message.replace("draft", "sent", 1), "/sent") from None


@router.get("/feedback")
def list_feedback(
    service: ServiceDep,
    principal: Annotated[Principal, Depends(require("read"))],
    outcome: Outcome | None = None,
    before: Annotated[int | None, Query(ge=1)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> FeedbackPage:
    """What desks made of verdicts, the newest first."""
    statement = select(AssistFeedback, StoredConversation.external_id).outerjoin(
        StoredConversation, StoredConversation.id == AssistFeedback.conversation_id
    )
    if outcome is not None:
        statement = statement.where(AssistFeedback.outcome == outcome)
    if before is not None:
        statement = statement.where(AssistFeedback.id < before)
    statement = scoped(statement, principal, AssistFeedback.vendor_id).order_by(AssistFeedback.id.desc()).limit(limit + 1)
    with service.store.read() as session:
        found = [FeedbackOut.of(row, queued) for row, queued in session.execute(statement)]
    return FeedbackPage(items=found[:limit], next=found[limit - 1].id if len(found) > limit else None)
