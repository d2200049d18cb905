"""Screening without keeping anything: one conversation, or up to a thousand."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool

from api import inputs, openapi
from api.access import Principal, require
from api.dependencies import ServiceDep
from api.inputs import ItemError
from screening.replay import encode
from screening.types import Conversation, Screening

router = APIRouter(prefix="/v1", tags=["screening"], responses=openapi.REFUSALS)
_LARGE = 64 * 1024

_RESULTS = {
    "type": "object",
    "required": ["results"],
    "properties": {
        "results": {
            "type": "array",
            "items": {
                "oneOf": [
                    {"type": "object", "required": ["screening"], "properties": {"screening": openapi.ref("Screening")}},
                    {
                        "type": "object",
                        "required": ["error"],
                        "properties": {
                            "error": {
                                "type": "object",
                                "required": ["code", "message", "field"],
                                "properties": {
                                    "code": {"type": "string"},
                                    "message": {"type": "string"},
                                    "field": {"type": ["string", "null"]},
                                },
                            }
                        },
                    },
                ]
            },
        }
    },
}


@router.post(
    "/screen",
    response_class=Response,
    openapi_extra=openapi.conversation_body(),
    responses={200: openapi.answer(openapi.ref("Screening"), "The screening, byte for byte as the command line gives it")},
)
async def screen(request: Request, service: ServiceDep, principal: Annotated[Principal, Depends(require("screen"))]) -> Response:
    """Screen one conversation; nothing is stored."""
    del principal
    found = inputs.conversation(await request.body(), service.settings)
    return Response(encode(await service.engine.screen(found)), media_type="application/json")


@router.post(
    "/screen/batch",
    response_class=Response,
    openapi_extra=openapi.conversation_body(array=True),
    responses={200: openapi.answer(_RESULTS, "One screening or one error for each item, in order")},
)
async def screen_batch(
    request: Request, service: ServiceDep, principal: Annotated[Principal, Depends(require("screen"))]
) -> Response:
    """Screen up to 1,000 conversations (a JSON array); an item that cannot be used is refused alone."""
    del principal
    body = await request.body()
    # A large array is read beside the event loop, so that others are answered meanwhile.
    items = (
        await run_in_threadpool(inputs.batch, body, service.settings)
        if len(body) > _LARGE
        else inputs.batch(body, service.settings)
    )
    results = iter(await service.engine.screen_many([item for item in items if isinstance(item, Conversation)]))
    lines = [_line(item if isinstance(item, ItemError) else next(results)) for item in items]
    return Response(b'{"results":[' + b",".join(lines) + b"]}", media_type="application/json")


def _line(result: Screening | ItemError | Exception) -> bytes:
    if isinstance(result, Screening):
        return b'{"screening":' + encode(result) + b"}"
    error = result if isinstance(result, ItemError) else inputs.item_error(result)
    return msgspec.json.encode({"error": error._asdict()})
