"""Conversations that are kept: bringing them in, adding what is known later, and looking at them and their screenings."""

from typing import Annotated, Any, Literal, cast

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field, field_validator

from api import bringing, ingest, inputs, openapi, stored
from api.access import Principal, require
from api.clock import to_datetime
from api.dependencies import ServiceDep
from api.errors import ApiError, ErrorEnvelope, conflict
from api.ingest import InForce, Stored
from api.masking import masked_conversation, masked_screening
from api.schemas import Input, RowId, Text
from api.wiring import Service, keeping
from screening.readers.records import parse_time
from screening.replay import encode
from screening.types import Conversation, Screening

_MISSING: dict[int | str, dict[str, Any]] = {404: {"model": ErrorEnvelope, "description": "There is no such thing"}}
_CONFLICT: dict[int | str, dict[str, Any]] = {409: {"model": ErrorEnvelope, "description": "The state of things forbids it"}}
router = APIRouter(prefix="/v1", tags=["conversations"], responses=openapi.REFUSALS)

_KEPT = {
    "type": "object",
    "required": ["id", "revision", "outcome", "screening_id", "screening"],
    "properties": {
        "id": {"type": "string"},
        "revision": {"type": "integer"},
        "outcome": {"enum": ["created", "revised", "unchanged"]},
        "screening_id": {"type": "integer"},
        "screening": openapi.ref("Screening"),
    },
}


class LaterCallback(Input):
    """Whether a promised call-back was made: the turn that promised, and when it was done (null: not yet)."""

    promised_turn: Annotated[int, Field(ge=0)]
    done_at: Text | None = None
    checked_at: Text | None = None

    @field_validator("done_at", "checked_at")
    @classmethod
    def _time(cls, value: str | None) -> str | None:
        if value is not None:
            parse_time(value, "done_at")
        return value


class LaterAttributes(Input):
    """What may become known after a conversation came in; what is left out stays as it is."""

    callbacks: Annotated[list[LaterCallback], Field(max_length=1000)] | None = None
    loss_yuan: Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)] | None = None


class ConversationPatch(Input):
    """The body of a PATCH."""

    attributes: LaterAttributes


class RevisionInfo(BaseModel):
    """One revision of a conversation."""

    number: int
    content_hash: str
    created_at: str


@router.post(
    "/conversations",
    response_class=Response,
    openapi_extra=openapi.conversation_body(),
    responses={
        200: openapi.answer(_KEPT, "The same content was kept before; the earlier result"),
        201: openapi.answer(_KEPT, "Kept and screened, as a new conversation or a new revision"),
        **_CONFLICT,
    },
)
async def add_conversation(
    request: Request, service: ServiceDep, principal: Annotated[Principal, Depends(require("ingest"))]
) -> Response:
    """Keep and screen a conversation; the same id with the same content again changes nothing."""
    conversation = inputs.conversation(await request.body(), service.settings)
    conversation = bringing.owned_by(principal, conversation)
    earlier = await run_in_threadpool(bringing.known, service, principal, conversation)
    if earlier is not None:
        return _answer(*earlier)
    screening = await service.engine.screen(conversation)
    kept, body = await run_in_threadpool(bringing.keep, service, principal, conversation, screening)
    return _answer(kept, body)


def _answer(kept: Stored, screening: bytes) -> Response:
    head = {"id": kept.external_id, "revision": kept.revision, "outcome": kept.outcome, "screening_id": kept.screening_id}
    body = msgspec.json.encode(head)[:-1] + b',"screening":' + screening + b"}"
    return Response(body, 200 if kept.outcome == "unchanged" else 201, media_type="application/json")


@router.patch(
    "/conversations/{conversation_id:path}",
    response_class=Response,
    responses={200: openapi.answer(_KEPT, "The new revision and its screening"), **_MISSING, **_CONFLICT},
)
async def add_attributes(
    conversation_id: str,
    patch: ConversationPatch,
    service: ServiceDep,
    principal: Annotated[Principal, Depends(require("ingest"))],
) -> Response:
    """Add what became known later (call-backs, loss), as a new revision that is screened anew; null takes a value away."""
    base, before = await run_in_threadpool(_in_force, service, principal, conversation_id)
    conversation = _patched(before, patch.attributes)
    screening = await service.engine.screen(conversation)
    kept = await run_in_threadpool(_keep_patched, service, base, conversation, screening)
    if "raw" not in principal.actions:  # the text was there before: who patches need not know it
        screening = await run_in_threadpool(_covered, screening, conversation)
    return Response(_answer(kept, encode(screening)).body, 200, media_type="application/json")


def _covered(screening: Screening, conversation: Conversation) -> Screening:
    return masked_screening(screening, masked_conversation(conversation))


def _in_force(service: Service, principal: Principal, conversation_id: str) -> tuple[InForce, Conversation]:
    with service.store.read() as session:
        held = stored.conversation(session, service.bodies, principal, conversation_id)
        return ingest.in_force(session, [conversation_id])[conversation_id], held.conversation


def _patched(before: Conversation, later: LaterAttributes) -> Conversation:
    given = later.model_dump(exclude_unset=True)
    if not given:
        raise ApiError(422, "invalid", "nothing to add; give `callbacks` or `loss_yuan`", "/attributes")
    for i, callback in enumerate(later.callbacks or ()):
        if callback.promised_turn >= len(before.turns):
            message = f"there is no turn {callback.promised_turn}; the conversation has {len(before.turns)}"
            raise ApiError(422, "invalid", message, f"/attributes/callbacks/{i}/promised_turn")
    merged = {name: value for name, value in (before.attributes | given).items() if value is not None}
    return msgspec.structs.replace(before, attributes=merged)


def _keep_patched(service: Service, base: InForce, conversation: Conversation, screening: Screening) -> Stored:
    with service.store.write() as session:
        kept = ingest.revise_attributes(session, base, conversation, screening, keeping(service), service.clock())
    if kept is None:
        raise conflict("changed_meanwhile", "a newer revision of this conversation came in meanwhile; read it and try again")
    return kept


class ConversationView(BaseModel):
    """A kept conversation; `texts` says whether personal data in it (and in the screening) is covered."""

    id: str
    revision: int
    revisions: list[RevisionInfo]
    screening_id: int
    texts: Literal["raw", "masked"]
    conversation: dict[str, Any]
    screening: dict[str, Any]


class ScreeningView(BaseModel):
    """A kept screening; `latest` says whether it is the one in force, `newer` names that one where it is not."""

    id: int
    conversation_id: str
    revision: int
    cause: Literal["ingest", "revision", "rescreen", "attributes"]
    latest: bool
    newer: int | None
    created_at: str
    texts: Literal["raw", "masked"]
    screening: dict[str, Any]


Masked = Annotated[
    bool, Query(description="Cover personal data even where the raw text may be seen; such a view is not audited.")
]


@router.get("/screenings/{screening_id}", response_model=ScreeningView, responses=_MISSING)
def get_screening(
    screening_id: Annotated[RowId, Path()],
    service: ServiceDep,
    principal: Annotated[Principal, Depends(require("read"))],
    masked: Masked = False,
) -> ScreeningView:
    """A screening as it was made, the latest or an earlier one."""
    raw = stored.raw_for(principal, masked)
    with service.store.read() as session:
        held = stored.screening(session, service.bodies, principal, screening_id)
        latest = (
            held.run if held.run.latest else stored.conversation(session, service.bodies, principal, held.row.external_id).run
        )
    _, screening = _noted(service, principal, held, raw)
    return ScreeningView(
        id=held.run.id,
        conversation_id=held.row.external_id,
        revision=held.revision.number,
        cause=cast(Any, held.run.cause),
        latest=held.run.latest,
        newer=None if held.run.latest else latest.id,
        created_at=to_datetime(held.run.created_at).isoformat(),
        texts="raw" if raw else "masked",
        screening=msgspec.to_builtins(screening),
    )


@router.get("/conversations/{conversation_id:path}", response_model=ConversationView, responses=_MISSING)
def get_conversation(
    conversation_id: str,
    service: ServiceDep,
    principal: Annotated[Principal, Depends(require("read"))],
    masked: Masked = False,
) -> ConversationView:
    """A conversation as it stands, with its latest screening."""
    raw = stored.raw_for(principal, masked)
    with service.store.read() as session:
        held = stored.conversation(session, service.bodies, principal, conversation_id)
        revisions = stored.revisions(session, held.row.id)
    conversation, screening = _noted(service, principal, held, raw)
    return ConversationView(
        id=held.row.external_id,
        revision=held.revision.number,
        revisions=[
            RevisionInfo(number=one.number, content_hash=one.content_hash, created_at=to_datetime(one.created_at).isoformat())
            for one in revisions
        ],
        screening_id=held.run.id,
        texts="raw" if raw else "masked",
        conversation=msgspec.to_builtins(conversation),
        screening=msgspec.to_builtins(screening),
    )


def _noted(service: Service, principal: Principal, held: stored.Held, raw: bool) -> tuple[Conversation, Screening]:
    if raw:
        with service.store.write() as session:
            stored.note_view(session, principal, held, service.clock())
    return stored.shown(held, raw=raw)
