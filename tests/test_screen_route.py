import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient

from api.openapi import CONVERSATION
from api.settings import Settings
from screening.pipeline import Screener
from screening.readers.records import from_record
from screening.replay import encode
from screening.samples import ARCHIVE
from screening.types import Conversation
from tests.conftest import refused

Headers = Callable[..., dict[str, str]]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"max_turns": 60, "max_text_length": 600, "max_batch": 200, "max_body_bytes": 1_000_000})


def test_the_answer_is_the_cores_own_bytes(
    client: TestClient, as_key: Headers, screener: Screener, archive: list[Conversation]
) -> None:
    headers = as_key("screen")
    lines = ARCHIVE.read_bytes().splitlines()[:8]
    for line, conversation in zip(lines, archive, strict=False):
        answer = client.post("/v1/screen", content=line, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.content == encode(screener.screen(conversation))


@pytest.mark.parametrize("role", ["agent_desk", "reviewer", "lead", "admin"])
def test_who_may_screen(client: TestClient, as_user: Headers, role: str) -> None:
    answer = client.post("/v1/screen", json=CONVERSATION, headers=as_user(role))
    assert answer.status_code == 200
    assert answer.json()["level"] == "A"


def test_who_may_not(client: TestClient, as_user: Headers, as_key: Headers) -> None:
    for path in ("/v1/screen", "/v1/screen/batch"):
        answer = client.post(path, json=CONVERSATION)
        assert "API key" in refused(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"
        refused(client.post(path, json=CONVERSATION, headers={"Authorization": "Bearer sk_00000000_x"}), 401, "unauthenticated")
        refused(client.post(path, json=CONVERSATION, headers={"Authorization": "Basic eA=="}), 401, "unauthenticated")
        message = refused(client.post(path, json=CONVERSATION, headers=as_user("vendor", vendor="v1")), 403, "forbidden")
        assert "may not screen" in message
        refused(client.post(path, json=CONVERSATION, headers=as_key("read")), 403, "forbidden")


TURN = {"role": "agent", "text": "您好"}


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ("", None, "not JSON"),
        ("{", None, "not JSON"),
        ("[]", None, "expected an object"),
        ("[" * 5000, None, "nested too deeply"),
        ({}, "/id", "`id` is missing"),
        ({"id": "x"}, "/turns", "`turns` is missing"),
        ({"id": "", "turns": [TURN]}, "/id", "`id` is empty"),
        ({"id": "x", "turns": []}, "/turns", "nothing to screen"),
        ({"id": "x", "turns": [TURN, 7]}, "/turns/1", "must be an object"),
        ({"id": "x", "turns": [TURN, {"role": "agent"}]}, "/turns/1/text", "`text` is missing"),
        ({"id": "x", "turns": [{"role": "boss", "text": "x"}]}, "/turns/0/role", "roles are agent, customer"),
        ({"id": "x", "turns": [TURN], "channel": "pigeon"}, "/channel", "channels are online"),
        ({"id": "x", "turns": [TURN], "started_at": "yesterday"}, "/started_at", "write 2026-03-02"),
        ({"id": "a\x00b", "turns": [TURN]}, "/id", "control character"),
        ('{"id":"x","turns":[{"role":"agent","text":"\\ud83d"}]}', None, "cut"),
    ],
)
def test_bad_input_is_named_with_its_place(
    client: TestClient, as_key: Headers, body: object, field: str | None, message: str
) -> None:
    content = body if isinstance(body, str) else json.dumps(body)
    answer = client.post("/v1/screen", content=content, headers=as_key("screen"))
    assert message in refused(answer, 422, "invalid", field)


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"id": "x", "turns": [TURN] * 61}, "/turns", "limit of 60 (max_turns)"),
        ({"id": "x", "turns": [TURN, {"role": "agent", "text": "好" * 601}]}, "/turns/1/text", "600 (max_text_length)"),
        ({"id": "x" * 201, "turns": [TURN]}, "/id", "limit of 200"),
        ({"id": "x", "turns": [TURN], "agent_id": "a" * 201}, "/agent_id", "limit of 200"),
    ],
)
def test_limits_are_named(client: TestClient, as_key: Headers, body: object, field: str, message: str) -> None:
    assert message in refused(client.post("/v1/screen", json=body, headers=as_key("screen")), 422, "over_limit", field)
    whole = client.post("/v1/screen/batch", json=[body, CONVERSATION], headers=as_key("screen")).json()["results"]
    assert message in whole[0]["error"]["message"]
    assert whole[0]["error"]["field"] == field
    assert whole[1]["screening"]["conversation_id"] == CONVERSATION["id"]


def test_a_large_body_is_refused_however_it_comes(client: TestClient, as_key: Headers) -> None:
    headers = as_key("screen")
    told = client.post("/v1/screen", content=b"x" * 1_000_001, headers=headers)
    assert "1000000 bytes (max_body_bytes)" in refused(told, 413, "too_large")
    untold = client.post("/v1/screen", content=(b"x" * 100_000 for _ in range(11)), headers=headers)
    refused(untold, 413, "too_large")


def test_a_batch_answers_item_by_item_in_order(
    client: TestClient, as_key: Headers, screener: Screener, archive: list[Conversation]
) -> None:
    lines = ARCHIVE.read_bytes().splitlines()
    bad = json.dumps({"id": "x", "turns": [{"role": "boss", "text": "x"}]}).encode()
    body = b"[" + b",".join([*lines[:50], bad, *lines[50:]]) + b"]"
    answer = client.post("/v1/screen/batch", content=body, headers=as_key("screen"))
    assert answer.status_code == 200
    expected = [b'{"screening":' + encode(s) + b"}" for s in screener.screen_many(archive)]
    assert b",".join(expected[:50]) in answer.content
    results = answer.json()["results"]
    assert results[50]["error"]["code"] == "invalid"
    assert results[50]["error"]["field"] == "/turns/0/role"
    assert [r["screening"]["conversation_id"] for i, r in enumerate(results) if i != 50] == [c.id for c in archive]


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ("{}", "invalid", "expected a JSON array"),
        ("[]", "invalid", "empty"),
        ("nonsense", "invalid", "expected a JSON array"),
        ("[" * 5000, "invalid", "expected a JSON array"),
        (json.dumps([CONVERSATION] * 201), "over_limit", "limit of 200 (max_batch)"),
    ],
)
def test_a_batch_that_cannot_be_used(client: TestClient, as_key: Headers, body: str, code: str, message: str) -> None:
    answer = client.post("/v1/screen/batch", content=body, headers=as_key("screen"))
    assert message in refused(answer, 422, code, "" if code == "over_limit" else None)


def test_requests_at_once_give_what_they_give_alone(client: TestClient, as_key: Headers, screener: Screener) -> None:
    headers = as_key("screen")
    lines = ARCHIVE.read_bytes().splitlines()[:24]

    def ask(line: bytes) -> bytes:
        return client.post("/v1/screen", content=line, headers=headers).content

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, lines))
    assert answers == [encode(screener.screen(from_record(json.loads(line)))) for line in lines]


def test_unknown_fields_are_kept_and_do_no_harm(client: TestClient, as_key: Headers) -> None:
    answer = client.post("/v1/screen", json=CONVERSATION | {"shop": {"floor": 3}}, headers=as_key("screen"))
    assert answer.json()["level"] == "A"
