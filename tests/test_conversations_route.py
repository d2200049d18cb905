import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from api.openapi import CONVERSATION
from api.store.tables import StoredScreening
from api.store.tables_access import AuditEntry
from api.wiring import Service
from screening.pipeline import Screener
from screening.readers.records import from_record
from screening.replay import encode
from tests.conftest import TurnedClock, refused

Headers = Callable[..., dict[str, str]]
PHONE = "13812345678"
PERSONAL: dict[str, Any] = {
    "id": "p/1",
    "vendor_id": "v1",
    "customer_id": PHONE,
    "turns": [{"role": "customer", "text": f"我的电话{PHONE}"}, {"role": "agent", "text": f"加我微信{PHONE[:-1]}9"}],
    "attributes": {"contact": {"phone": f"电话{PHONE}"}},
}


def screenings(service: Service) -> int:
    with service.store.read() as session:
        return session.scalar(select(func.count()).select_from(StoredScreening)) or 0


def test_kept_screened_and_given_back(client: TestClient, as_key: Headers, as_user: Headers, screener: Screener) -> None:
    answer = client.post("/v1/conversations", json=CONVERSATION, headers=as_key("ingest"))
    assert answer.status_code == 201
    body = answer.json()
    assert (body["id"], body["revision"], body["outcome"]) == (CONVERSATION["id"], 1, "created")
    expected = encode(screener.screen(from_record(CONVERSATION)))
    assert answer.content.endswith(b',"screening":' + expected + b"}")
    headers = as_user("reviewer")
    view = client.get(f"/v1/conversations/{body['id']}", headers=headers).json()
    assert [turn["text"] for turn in view["conversation"]["turns"]] == [turn["text"] for turn in CONVERSATION["turns"]]
    assert view["screening"] == json.loads(expected)
    assert (view["texts"], view["revision"], len(view["revisions"]), view["screening_id"]) == ("raw", 1, 1, body["screening_id"])
    one = client.get(f"/v1/screenings/{body['screening_id']}", headers=headers).json()
    assert (one["latest"], one["newer"], one["cause"], one["conversation_id"]) == (True, None, "ingest", body["id"])
    assert one["screening"] == json.loads(expected)


def test_the_same_again_is_the_earlier_result(client: TestClient, as_key: Headers, service: Service) -> None:
    headers = as_key("ingest")
    first = client.post("/v1/conversations", json=CONVERSATION, headers=headers)
    again = client.post("/v1/conversations", content=json.dumps(CONVERSATION, indent=3), headers=headers)
    assert again.status_code == 200
    assert again.json() == first.json() | {"outcome": "unchanged"}
    assert screenings(service) == 1


def test_other_content_is_a_new_revision(client: TestClient, as_key: Headers, as_user: Headers) -> None:
    headers = as_key("ingest", "read")
    first = client.post("/v1/conversations", json=CONVERSATION, headers=headers).json()
    answer = client.post("/v1/conversations", json=CONVERSATION | {"agent_id": "a8"}, headers=headers)
    assert answer.status_code == 201
    assert (answer.json()["revision"], answer.json()["outcome"]) == (2, "revised")
    view = client.get(f"/v1/conversations/{CONVERSATION['id']}", headers=headers).json()
    assert [one["number"] for one in view["revisions"]] == [1, 2]
    old = client.get(f"/v1/screenings/{first['screening_id']}", headers=headers).json()
    assert (old["latest"], old["newer"], old["revision"]) == (False, view["screening_id"], 1)


def test_the_same_at_once_is_kept_once(client: TestClient, as_key: Headers, service: Service) -> None:
    headers = as_key("ingest")

    def post(_: int) -> str:
        return client.post("/v1/conversations", json=CONVERSATION, headers=headers).json()["outcome"]

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(post, range(12)))
    assert sorted(outcomes) == ["created", *["unchanged"] * 11]
    assert screenings(service) == 1


def test_what_becomes_known_later_is_screened_anew(client: TestClient, as_key: Headers) -> None:
    headers = as_key("ingest", "read")
    given = CONVERSATION | {"attributes": {"solved": True}}
    first = client.post("/v1/conversations", json=given, headers=headers).json()
    attributes = {"loss_yuan": 5000, "callbacks": [{"promised_turn": 1, "done_at": None}]}
    patched = client.patch(f"/v1/conversations/{CONVERSATION['id']}", json={"attributes": attributes}, headers=headers)
    assert patched.status_code == 200
    assert (patched.json()["revision"], patched.json()["outcome"]) == (2, "revised")
    before, after = ({flag["signal"] for flag in one["screening"]["flags"]} for one in (first, patched.json()))
    assert after - before == {"loss.over_limit"}
    view = client.get(f"/v1/conversations/{CONVERSATION['id']}", headers=headers).json()
    assert view["conversation"]["attributes"] == {"solved": True, **attributes}
    again = client.post("/v1/conversations", json=given, headers=headers)  # the source sends what it has: nothing is undone
    assert (again.status_code, again.json()["revision"]) == (200, 2)
    client.patch(f"/v1/conversations/{CONVERSATION['id']}", json={"attributes": {"loss_yuan": None}}, headers=headers)
    view = client.get(f"/v1/conversations/{CONVERSATION['id']}", headers=headers).json()
    assert set(view["conversation"]["attributes"]) == {"solved", "callbacks"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "/attributes"),
        ({"attributes": {}}, "/attributes"),
        ({"attributes": {"loss_yuan": -1}}, "/attributes/loss_yuan"),
        ({"attributes": {"loss_yuan": "much"}}, "/attributes/loss_yuan"),
        ({"attributes": {"rating": "satisfied"}}, "/attributes/rating"),
        ({"attributes": {"callbacks": [{"promised_turn": 2}]}}, "/attributes/callbacks/0/promised_turn"),
        ({"attributes": {"callbacks": [{"promised_turn": 0, "done_at": "soon"}]}}, "/attributes/callbacks/0/done_at"),
    ],
)
def test_later_attributes_that_cannot_be_used(client: TestClient, as_key: Headers, body: object, field: str) -> None:
    headers = as_key("ingest")
    client.post("/v1/conversations", json=CONVERSATION, headers=headers)
    refused(client.patch(f"/v1/conversations/{CONVERSATION['id']}", json=body, headers=headers), 422, "invalid", field)


def test_who_may(client: TestClient, as_user: Headers, as_key: Headers) -> None:
    path = f"/v1/conversations/{CONVERSATION['id']}"
    requests: list[tuple[str, str, object, str]] = [
        ("POST", "/v1/conversations", CONVERSATION, "ingest"),
        ("PATCH", path, {"attributes": {"loss_yuan": 1}}, "ingest"),
        ("GET", path, None, "read"),
        ("GET", "/v1/screenings/1", None, "read"),
    ]
    allowed = {"ingest": {"lead", "admin"}, "read": {"reviewer", "lead", "admin", "vendor"}}
    for method, url, body, action in requests:
        refused(client.request(method, url, json=body), 401, "unauthenticated")
        refused(client.request(method, url, json=body, headers=as_key("screen")), 403, "forbidden")
        for role in ("admin", "lead", "reviewer", "agent_desk"):
            answer = client.request(method, url, json=body, headers=as_user(role))
            if role in allowed[action]:
                assert answer.status_code in (200, 201), (role, url, answer.text)
            else:
                refused(answer, 403, "forbidden")


def test_another_vendors_data_is_not_there(client: TestClient, as_user: Headers, as_key: Headers) -> None:
    owner, other = as_key("ingest", "read", vendor="v12"), as_key("ingest", "read", vendor="v99")
    kept = client.post("/v1/conversations", json=CONVERSATION, headers=owner).json()
    path = f"/v1/conversations/{CONVERSATION['id']}"
    for headers in (other, as_user("vendor", vendor="v99")):
        refused(client.get(path, headers=headers), 404, "not_found")
        refused(client.get(f"/v1/screenings/{kept['screening_id']}", headers=headers), 404, "not_found")
    refused(client.patch(path, json={"attributes": {"loss_yuan": 1}}, headers=other), 404, "not_found")
    refused(client.post("/v1/conversations", json=CONVERSATION, headers=other), 403, "other_vendor", "/vendor_id")
    mine = {name: value for name, value in CONVERSATION.items() if name != "vendor_id"}
    refused(client.post("/v1/conversations", json=mine, headers=other), 409, "id_taken", "/id")
    assert client.get(path, headers=as_user("vendor", vendor="v12")).status_code == 200


def test_a_vendors_key_names_the_vendor(client: TestClient, as_key: Headers) -> None:
    headers = as_key("ingest", "read", vendor="v5")
    mine = {name: value for name, value in CONVERSATION.items() if name != "vendor_id"}
    client.post("/v1/conversations", json=mine, headers=headers)
    view = client.get(f"/v1/conversations/{CONVERSATION['id']}", headers=headers).json()
    assert view["conversation"]["vendor_id"] == "v5"


def test_personal_data_is_covered_by_role_and_offsets_keep(client: TestClient, as_user: Headers, as_key: Headers) -> None:
    kept = client.post("/v1/conversations", json=PERSONAL, headers=as_key("ingest")).json()
    raw = client.get("/v1/conversations/p/1", headers=as_user("reviewer")).json()
    assert PHONE in raw["conversation"]["turns"][0]["text"]
    for headers, query in ((as_user("vendor", vendor="v1"), ""), (as_key("read"), ""), (as_user("lead"), "?masked=true")):
        answer = client.get("/v1/conversations/p/1" + query, headers=headers)
        assert PHONE not in answer.text
        assert PHONE[:-1] not in answer.text
        view = answer.json()
        assert view["texts"] == "masked"
        for before, after in zip(raw["conversation"]["turns"], view["conversation"]["turns"], strict=True):
            assert len(before["text"]) == len(after["text"])
        for flag in view["screening"]["flags"]:
            if flag["turn"] is not None:
                assert flag["quote"] == view["conversation"]["turns"][flag["turn"]]["text"][flag["start"] : flag["end"]]
        one = client.get(f"/v1/screenings/{kept['screening_id']}{query}", headers=headers)
        assert PHONE[:-1] not in one.text


def test_raw_views_are_audited_and_masked_ones_are_not(
    client: TestClient, as_user: Headers, as_key: Headers, service: Service, clock: TurnedClock
) -> None:
    client.post("/v1/conversations", json=PERSONAL, headers=as_key("ingest"))
    client.get("/v1/conversations/p/1", headers=as_key("read"))
    client.get("/v1/conversations/p/1", headers=as_user("reviewer", name="anna"))
    client.get("/v1/conversations/p/1?masked=true", headers=as_user("reviewer", name="ben"))
    with service.store.read() as session:
        lines = session.scalars(select(AuditEntry).where(AuditEntry.action == "raw_viewed")).all()
    assert [(line.actor, line.action, line.subject, line.at) for line in lines] == [
        ("user:anna", "raw_viewed", "conversation:p/1", clock.now)
    ]


@pytest.mark.parametrize("number", ["0", "-1", "x", "99999999999999999999"])
def test_bad_screening_numbers(client: TestClient, as_user: Headers, number: str) -> None:
    refused(client.get(f"/v1/screenings/{number}", headers=as_user("reviewer")), 422, "invalid")


def test_what_is_not_there(client: TestClient, as_user: Headers, as_key: Headers) -> None:
    refused(client.get("/v1/conversations/none", headers=as_user("reviewer")), 404, "not_found")
    refused(client.get("/v1/screenings/77", headers=as_user("reviewer")), 404, "not_found")
    body = {"attributes": {"loss_yuan": 1}}
    refused(client.patch("/v1/conversations/none", json=body, headers=as_key("ingest")), 404, "not_found")
    refused(client.post("/v1/conversations", json={"id": "x"}, headers=as_key("ingest")), 422, "invalid", "/turns")


def test_a_patch_tells_the_text_only_to_who_may_read_it(client: TestClient, as_key: Headers) -> None:
    said = "上一位买家的电话是13812345678，您可以问他"
    turns = [{"role": "customer", "text": "这个好用吗"}, {"role": "agent", "text": said}]
    headers = as_key("ingest")
    client.post("/v1/conversations", json={"id": "p-2", "turns": turns}, headers=headers)
    for who, told in ((headers, False), (as_key("ingest", "read", "raw"), True)):
        patched = client.patch("/v1/conversations/p-2", json={"attributes": {"loss_yuan": 1}}, headers=who)
        flags = [flag for flag in patched.json()["screening"]["flags"] if flag["signal"] == "leak.customer_data"]
        assert flags, patched.text
        assert ("13812345678" in patched.text) is told
        assert all((flag["quote"] == said[flag["start"] : flag["end"]]) is told for flag in flags)
