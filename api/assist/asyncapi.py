"""The AsyncAPI 3 document of the stream, made from the messages themselves: docs/assist-stream.json."""

import json
from inspect import cleandoc
from typing import Any, get_args

import msgspec

import screening
from api.assist.messages import Incoming, Outgoing, Sequenced
from screening.types import Screening

_REFS = "#/components/schemas/{name}"
CLOSE_CODES = {
    1009: "a message of more than twice `stream_message_bytes`",
    1012: "the service restarts; `hello`, and send the turns of open conversations again",
    4008: "slow_reader: more messages wait than may; `resume`",
    4400: "invalid, gap, no_hello, binary or token_in_url: mend the desk's code; after `gap` `resume`",
    4401: "unauthenticated: the token is missing, unknown, revoked or over",
    4403: "forbidden or cross_origin",
    4404: "unknown_session or other_worker: `hello`, and send the turns of open conversations again",
    4408: "idle or no_hello: nothing came; after `idle` `resume`",
    4409: "taken_over: the session goes on in another socket",
    4410: "outbox_gone: `hello`, and send the turns of open conversations again",
    4429: "too_many_messages or too_many_sessions: wait, then `resume` or `hello`",
    4500: "internal: `resume`",
    4503: "not_ready or store_unavailable: try again",
}


def document(version: str) -> dict[str, Any]:
    """The document as plain data; `version` is the code's."""
    incoming, outgoing = get_args(Incoming), get_args(Outgoing)
    _, schemas = msgspec.json.schema_components((*incoming, *outgoing), ref_template=_REFS)
    named = {kind.__struct_config__.tag: kind for kind in (*incoming, *outgoing)}
    # the raw JSON there is a screening
    schemas["ScreeningMessage"]["properties"]["screening"] = {"$ref": _REFS.format(name="Screening")}
    _, whole = msgspec.json.schema_components((Screening,), ref_template=_REFS)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Conversation Screening: assist stream",
            "version": version,
            "description": "Running conversations followed turn by turn, over one WebSocket a desk. Close codes: "
            + " ".join(f"{code} {why}." for code, why in CLOSE_CODES.items()),
        },
        "servers": {"local": {"host": "127.0.0.1:8000", "protocol": "ws"}},
        "defaultContentType": "application/json",
        "channels": {
            "stream": {
                "address": "/v1/assist/stream",
                "description": "JSON objects in text frames. The first message of the desk is `hello` or `resume`.",
                "messages": {tag: {"$ref": f"#/components/messages/{tag}"} for tag in named},
            }
        },
        "operations": {
            "desk": _operation("receive", "What a desk sends.", incoming),
            "service": _operation("send", "What the service tells; `" + _tags(Sequenced) + "` are kept for `resume`.", outgoing),
        },
        "components": {
            "messages": {
                tag: {
                    "name": tag,
                    "summary": (kind.__doc__ or "").strip().partition("\n")[0],
                    "payload": {"$ref": _REFS.format(name=kind.__name__)},
                }
                for tag, kind in named.items()
            },
            "schemas": {name: _unindented(schema) for name, schema in sorted((whole | schemas).items())},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An API key or a session's token."},
                "cookie": {"type": "httpApiKey", "in": "cookie", "name": "screening_session"},
            },
        },
    }


def _unindented(schema: dict[str, Any]) -> dict[str, Any]:
    return schema | ({"description": cleandoc(schema["description"])} if "description" in schema else {})


def _tags(union: object) -> str:
    return "`, `".join(str(kind.__struct_config__.tag) for kind in get_args(union))


def _operation(action: str, summary: str, kinds: tuple[Any, ...]) -> dict[str, Any]:
    own = [{"$ref": f"#/channels/stream/messages/{kind.__struct_config__.tag}"} for kind in kinds]
    return {
        "action": action,
        "summary": summary,
        "channel": {"$ref": "#/channels/stream"},
        "messages": own,
        "security": [{"$ref": "#/components/securitySchemes/bearer"}, {"$ref": "#/components/securitySchemes/cookie"}],
    }


if __name__ == "__main__":
    print(json.dumps(document(screening.__version__), ensure_ascii=False, indent=1))
