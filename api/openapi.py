"""The OpenAPI document: the core's own types as schemas, the error envelope on every endpoint, examples that hold."""

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.access import COOKIE
from api.assist.verdict import DEADLINE_MOST, Verdict
from api.errors import ErrorEnvelope
from screening.types import Conversation, Screening

_REF = "#/components/schemas/{name}"
_OPEN = ("Conversation", "Turn")  # unknown fields of these are kept in `attributes`

CONVERSATION: dict[str, Any] = {
    "id": "c-20260302-17",
    "channel": "online",
    "vendor_id": "v12",
    "agent_id": "a7",
    "started_at": "2026-03-02T10:00:00+08:00",
    "turns": [
        {"role": "customer", "text": "能便宜点吗", "at": "2026-03-02T10:00:05+08:00"},
        {"role": "agent", "text": "您好，加我微信，那边便宜一百", "at": "2026-03-02T10:00:15+08:00"},
    ],
}

DRAFT: dict[str, Any] = {
    "conversation": {
        "id": "c-20260302-18",
        "channel": "online",
        "agent_id": "a7",
        "turns": [
            {"role": "customer", "text": "能便宜点吗"},
            {"role": "agent", "text": "王女士，您好，请问您看中的是哪一款？"},
            {"role": "customer", "text": "黑色那款，别家便宜一百"},
        ],
    },
    "draft": "您好，这款有货。您加我微信，我给您便宜一百。",
    "deadline_ms": 150,
}

REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorEnvelope, "description": text}
    for status, text in {
        401: "No valid session or API key",
        403: "Not allowed",
        413: "The body is larger than a limit",
        422: "The body cannot be used",
        429: "Too many requests",
        503: "Overloaded, not ready, or the store is away; try again",
    }.items()
}


def conversation_body(*, array: bool = False) -> dict[str, Any]:
    """The `openapi_extra` of an endpoint that reads conversations by itself."""
    schema: dict[str, Any] = {"$ref": _REF.format(name="Conversation")}
    if array:
        schema = {"type": "array", "items": schema, "minItems": 1, "maxItems": 1000}
    example: object = [CONVERSATION] if array else CONVERSATION
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}}


def draft_body() -> dict[str, Any]:
    """The `openapi_extra` of the endpoint that reads drafts by itself."""
    schema = {
        "type": "object",
        "required": ["conversation", "draft"],
        "additionalProperties": False,
        "properties": {
            "conversation": ref("Conversation"),
            "draft": {"type": "string", "minLength": 1},
            "deadline_ms": {"type": ["integer", "null"], "minimum": 1, "maximum": DEADLINE_MOST},
        },
    }
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": DRAFT}}}}


def answer(schema: dict[str, Any], description: str) -> dict[str, Any]:
    """The documented answer of an endpoint that writes its own bytes."""
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def ref(name: str) -> dict[str, Any]:
    """A reference to one of the core's types."""
    return {"$ref": _REF.format(name=name)}


def install(app: FastAPI) -> None:
    """Make the application's document, built once, hold the core's types."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            _, components = msgspec.json.schema_components((Conversation, Screening, Verdict), ref_template=_REF)
            for name in _OPEN:
                components[name]["additionalProperties"] = True
            made.setdefault("components", {}).setdefault("schemas", {}).update(components)
            _add_cookie(made)
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _add_cookie(document: dict[str, Any]) -> None:
    """Wherever a token is taken, the browser's cookie is, too."""
    description = "The session's token, as set by the login."
    schemes = document["components"].setdefault("securitySchemes", {})
    schemes["APIKeyCookie"] = {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": description}
    for path in document["paths"].values():
        for operation in path.values():
            if "security" in operation:
                operation["security"].append({"APIKeyCookie": []})
