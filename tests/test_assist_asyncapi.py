"""docs/assist-stream.json is what the code accepts and sends."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator

import screening
from api.assist import asyncapi
from api.assist.messages import Incoming, Outgoing, decoded
from api.errors import ApiError
from api.overlay.follow import FIRST
from screening.pipeline import Screener
from tests.ruling import small_screener
from tests.streaming import Desk, desk

FILE = Path(__file__).parents[1] / "docs" / "assist-stream.json"
DOCUMENT: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
RIGHT = [
    {"type": "hello"},
    {"type": "hello", "token": "sk_x"},
    {"type": "resume", "session": "a-b", "received": 4},
    {"type": "turn", "seq": 1, "conversation": "c", "role": "agent", "text": ""},
    {
        "type": "turn",
        "seq": 1,
        "conversation": "c",
        "role": "customer",
        "text": "在吗",
        "at": "2026-03-02T10:00:05+08:00",
        "kind": "voice",
        "ends_at": None,
        "about": {"channel": "phone", "attributes": {"x": 1}, "vendor_id": None},
        "received": 3,
    },
    {"type": "draft", "seq": 2, "conversation": "c", "text": "好", "deadline_ms": 100},
    {"type": "typing", "seq": 3, "conversation": "c", "role": "customer"},
    {"type": "end", "seq": 4, "conversation": "c", "ended_by": "agent", "attributes": {}, "store": True},
]
WRONG = [
    {"type": "hello", "key": "x"},
    {"type": "resume", "session": "a"},
    {"type": "turn", "seq": "1", "conversation": "c", "role": "agent", "text": ""},
    {"type": "turn", "seq": 1, "conversation": "c", "role": "robot", "text": ""},
    {"type": "turn", "seq": 1, "conversation": "c", "role": "agent"},
    {"type": "turn", "seq": 1, "conversation": "c", "role": "agent", "text": "", "about": {"id": "c"}},
    {"type": "draft", "seq": 1, "conversation": "c"},
    {"type": "typing", "seq": 1, "conversation": "c", "role": "bot"},
    {"type": "end", "seq": 1, "conversation": "c", "store": "yes"},
    {"type": "flags"},
]


def schema(tag: str) -> Draft202012Validator:
    place = DOCUMENT["components"]["messages"][tag]["payload"]["$ref"]
    return Draft202012Validator({"$ref": place, "components": DOCUMENT["components"]})


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def test_the_document_is_made_from_the_messages() -> None:
    made = json.dumps(asyncapi.document(screening.__version__), ensure_ascii=False, indent=1) + "\n"
    assert FILE.read_text(encoding="utf-8") == made, "write it again: python -m api.assist.asyncapi > docs/assist-stream.json"


def test_every_reference_leads_somewhere() -> None:
    found = set(references(DOCUMENT))
    assert len(found) > 40
    for place in found:
        part = DOCUMENT
        for name in place.removeprefix("#/").split("/"):
            part = part[name]
    said = {reference.rpartition("/")[2] for own in DOCUMENT["operations"].values() for reference in references(own["messages"])}
    assert said == {kind.__struct_config__.tag for kind in (*get_args(Incoming), *get_args(Outgoing))}
    assert DOCUMENT["asyncapi"] == "3.0.0"


@pytest.mark.parametrize("message", RIGHT)
def test_what_the_document_allows_the_code_takes(message: dict[str, Any]) -> None:
    schema(message["type"]).validate(message)
    assert decoded(json.dumps(message))


@pytest.mark.parametrize("message", WRONG)
def test_what_the_document_forbids_the_code_refuses(message: dict[str, Any]) -> None:
    tag = message["type"]
    assert tag == "flags" or not schema(tag).is_valid(message)
    with pytest.raises(ApiError):
        decoded(json.dumps(message))


@pytest.fixture(scope="module")
def screener() -> Screener:
    made = small_screener()
    made.screen(FIRST)
    return made


def test_what_the_code_sends_the_document_holds(client, as_key, clock) -> None:
    headers = as_key("screen", "ingest")
    with desk(client, headers) as own:
        own.turn("c1", "customer", "我的快递怎么还没到", at="2026-03-02T10:00:00+08:00")
        own.turn("c1", "agent", "加我微信，10分钟内给您回电", at="2026-03-02T10:03:00+08:00")
        own.say("typing", conversation="c1", role="agent")
        own.hear("verdict", of=own.say("draft", conversation="c1", text="加我微信", deadline_ms=20_000))
        own.raw("{")
        own.end("c1", store=True)
        own.raw({"type": "turn", "seq": 99, "conversation": "c1", "role": "agent", "text": ""})
        closing = json.loads(own.socket.receive_text())
        while closing["type"] != "closing":
            closing = json.loads(own.socket.receive_text())
        own.heard.append({**closing, "raw": json.dumps(closing)})
    checked(own)


def checked(own: Desk) -> None:
    for message in own.heard:
        schema(message["type"]).validate(json.loads(message["raw"]))
    assert {message["type"] for message in own.heard} == {kind.__struct_config__.tag for kind in get_args(Outgoing)}
