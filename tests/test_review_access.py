"""Every endpoint of the review: without a login, with the wrong role, for another vendor's data, with bad values."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import select

from api.app import create_app
from api.engine import ScreeningEngine
from api.settings import Settings
from api.store.tables_access import AuditEntry
from api.wiring import Service
from screening.pipeline import Screener
from tests.conftest import TurnedClock, refused
from tests.reviewing import ABUSE, DIVERSION, chat

Headers = Callable[..., dict[str, str]]
PHONE = "13812345678"
READS = [
    ("GET", "/v1/review/candidates", None),
    ("GET", "/v1/review/counts", None),
    ("GET", "/v1/review/candidates/1", None),
    ("GET", "/v1/review/candidates/1/history", None),
]
REVIEWS: list[tuple[str, str, Any]] = [
    ("GET", "/v1/review/conversations/c1", None),
    ("POST", "/v1/review/next", {}),
    ("PUT", "/v1/review/candidates/1/claim", None),
    ("DELETE", "/v1/review/candidates/1/claim", None),
    ("POST", "/v1/review/candidates/1/decisions", {"screening_id": 1, "verdict": "confirmed"}),
    ("POST", "/v1/review/decisions/1/undo", {}),
    (
        "POST",
        "/v1/review/missed",
        {
            "conversation_id": "c1",
            "screening_id": 1,
            "turn": 1,
            "start": 0,
            "end": 2,
            "quote": "你是",
            "standard": "jd-zhitongche",
            "clause": "A.attitude",
            "signal": "rudeness.abuse",
        },
    ),
    ("POST", "/v1/review/missed/1/undo", {}),
    ("GET", "/v1/statistics/precision", None),
]
LEADS: list[tuple[str, str, Any]] = [
    ("POST", "/v1/review/assignments", {"to": [{"user": "ann"}]}),
    ("GET", "/v1/feedback/export", None),
]


@pytest.fixture
def ask(client: TestClient) -> Callable[..., Any]:
    def asked(call: tuple[str, str, Any], headers: dict[str, str] | None = None) -> Any:
        method, path, body = call
        return client.request(method, path, json=body, headers=headers)

    return asked


@pytest.fixture
def kept(client: TestClient, as_key: Headers) -> None:
    """One conversation of vendor v1 with personal data, one of v2."""
    headers = as_key("ingest")
    for one in (
        chat("c1", ABUSE, f"您的电话是{PHONE}吗", vendor_id="v1", agent_id="a1"),
        chat("c2", DIVERSION, vendor_id="v2", agent_id="a2"),
    ):
        assert client.post("/v1/conversations", content=msgspec.json.encode(one), headers=headers).status_code == 201


def test_without_login_and_with_the_wrong_role(ask: Callable[..., Any], as_user: Headers, as_key: Headers, kept: None) -> None:
    desk, vendor, reviewer = as_user("agent_desk"), as_user("vendor", vendor="v1"), as_user("reviewer")
    key = as_key("screen", "ingest", "raw", "jobs")
    for call in (*READS, *REVIEWS, *LEADS):
        refused(ask(call), 401, "unauthenticated")
        refused(ask(call, desk), 403, "forbidden")
        refused(ask(call, key), 403, "forbidden")
    for call in (*REVIEWS, *LEADS):
        refused(ask(call, vendor), 403, "forbidden")
    for call in LEADS:
        refused(ask(call, reviewer), 403, "forbidden")


@pytest.mark.parametrize("role", ["reviewer", "lead", "admin"])
def test_reviewers_leads_and_admins_may(role: str, ask: Callable[..., Any], as_user: Headers, kept: None) -> None:
    headers = as_user(role, name="ann")
    statuses = {}
    for call in (*REVIEWS[1:3], *READS, *REVIEWS):
        answer = ask(call, headers)
        statuses[call[:2]] = answer.status_code
    assert statuses == {
        **dict.fromkeys((call[:2] for call in (*READS, *REVIEWS)), 200),
        ("DELETE", "/v1/review/candidates/1/claim"): 204,
        ("POST", "/v1/review/candidates/1/decisions"): 409,  # released just before
        ("POST", "/v1/review/decisions/1/undo"): 404,
        ("POST", "/v1/review/missed"): 201,
        ("POST", "/v1/review/missed/1/undo"): 201,
    }
    if role != "reviewer":
        assert [ask(call, headers).status_code for call in LEADS] == [200, 200]


def test_what_is_not_there(ask: Callable[..., Any], as_user: Headers, kept: None) -> None:
    headers = as_user("lead", name="ann")
    for method, path, body in (*READS[2:], *REVIEWS):
        if "1" in path.removeprefix("/v1"):
            other = path.replace("c1", "c9").replace("/1", "/99")
            refused(ask((method, other, body), headers), 404, "not_found")
    refused(ask(("POST", "/v1/review/missed", REVIEWS[6][2] | {"conversation_id": "c9"}), headers), 404, "not_found")


BAD_QUERIES = (
    *("level=D", "channel=fax", "status=lost", "limit=0", "limit=201", "limit=x", "score_from=2", "score_to=nan", "cursor=abc"),
    *("occurred_from=2026-03-02T10:00:00", "occurred_to=soon", "assignee=zoe", "words=微", "vendor=", "colour=red"),
)


def test_bad_values_in_the_query(client: TestClient, as_user: Headers, kept: None) -> None:
    headers = as_user("reviewer")
    for query in BAD_QUERIES:
        message = refused(client.get(f"/v1/review/candidates?{query}", headers=headers), 422, "invalid")
        assert query.partition("=")[0] in message or "two letters" in message


def test_bad_values_elsewhere(client: TestClient, as_user: Headers, kept: None) -> None:
    headers = as_user("lead", name="ann")
    refused(client.get("/v1/review/candidates/0", headers=headers), 422, "invalid")
    refused(client.get(f"/v1/review/candidates/{2**63}", headers=headers), 422, "invalid")
    refused(client.get("/v1/statistics/precision?by=moon", headers=headers), 422, "invalid")
    for to, field in (
        ([], "/to"),
        ([{"user": "zoe"}], "/to/0/user"),
        ([{"user": "ann", "percent": 0}], "/to/0/percent"),
        ([{"user": "ann", "percent": 101}], "/to/0/percent"),
        ([{"user": "ann", "percent": 60}, {"user": "ben", "percent": 60}], "/to"),
        ([{"user": "ann", "percent": 60}, {"user": "ben"}], "/to"),
    ):
        refused(client.post("/v1/review/assignments", json={"to": to}, headers=headers), 422, "invalid", field)


def test_filters_and_pages_over_http(client: TestClient, as_user: Headers, kept: None) -> None:
    headers = as_user("lead", name="ann")

    def found(query: str) -> list[str]:
        answer = client.get(f"/v1/review/candidates?{query}", headers=headers)
        assert answer.status_code == 200, answer.text
        return [item["conversation_id"] for item in answer.json()["items"]]

    assert found("vendor=v1") == found("agent=a1") == found("words=傻子") == found("clause=A.attitude") == ["c1"]
    assert found("signal=diversion.platform") == found("words=那邊便宜") == found("score_from=0.974&level=A") == ["c2"]
    assert found("occurred_to=2026-03-02T00:00:00Z") == found("assignee=me") == found("channel=phone") == []
    assert sorted(found("assignee=nobody&occurred_from=2026-03-02T08:00:00%2B08:00")) == ["c1", "c2"]
    first = client.get("/v1/review/candidates?limit=1", headers=headers).json()
    assert [*found(f"limit=1&cursor={first['next']}"), first["items"][0]["conversation_id"]] == found("")[::-1]
    assert client.post("/v1/review/assignments", json={"to": [{"user": "ann"}], "limit": 1}, headers=headers).json() == {
        "assigned": {"ann": 1}
    }
    assert len(found("assignee=ann")) == 1
    counted = client.get("/v1/review/counts?assignee=nobody", headers=headers).json()
    assert (counted["total"], counted["level"]["A"], counted["limit"]) == (1, 1, 1000)


def decided(client: TestClient, headers: dict[str, str]) -> None:
    """Both candidates are confirmed, with notes."""
    for item in client.get("/v1/review/candidates", headers=headers).json()["items"]:
        path = f"/v1/review/candidates/{item['id']}"
        client.put(f"{path}/claim", headers=headers)
        body = {"screening_id": item["screening_id"], "verdict": "confirmed", "note": "内部"}
        assert client.post(f"{path}/decisions", json=body, headers=headers).status_code == 201


def test_a_vendor_sees_his_own_decided_candidates_masked_and_nameless(
    client: TestClient, as_user: Headers, as_key: Headers, kept: None, service: Service
) -> None:
    for headers in (as_user("vendor", vendor="v1"), as_key("read", vendor="v1")):
        assert client.get("/v1/review/candidates", headers=headers).json()["items"] == []
        refused(client.get("/v1/review/candidates/1", headers=headers), 404, "not_found")
    decided(client, as_user("reviewer", name="ann"))
    for headers in (as_user("vendor", vendor="v1"), as_key("read", "raw", vendor="v1")):
        (item,) = client.get("/v1/review/candidates?status=open&vendor=v2", headers=headers).json()["items"]
        assert (item["conversation_id"], item["vendor_id"], item["status"], item["assignee"]) == ("c1", "v1", "decided", None)
        path = f"/v1/review/candidates/{item['id']}"
        history = client.get(f"{path}/history", headers=headers).json()["decisions"]
        assert [(one["verdict"], one["user"], one["note"]) for one in history] == [("confirmed", None, None)]
        for other in (one for one in (1, 2) if one != item["id"]):
            refused(client.get(f"/v1/review/candidates/{other}", headers=headers), 404, "not_found")
            refused(client.get(f"/v1/review/candidates/{other}/history", headers=headers), 404, "not_found")
        assert "v2" not in client.get("/v1/review/counts", headers=headers).text
        view = client.get(path, headers=headers).json()
        masked = "raw" not in client.get("/v1/me", headers=headers).json()["actions"]
        text = view["conversation"]["turns"][2]["text"]
        assert (PHONE in text) != masked
        assert len(text) == len(f"您的电话是{PHONE}吗")
        assert {flag["n"] for flag in view["flags"]} == set(item["flags"])
    with service.store.read() as session:
        viewers = session.scalars(select(AuditEntry.actor).where(AuditEntry.action == "raw_viewed")).all()
    assert len(viewers) == 1 and viewers[0].startswith("key:")


def test_a_lead_key_of_one_vendor_exports_its_own_masked(
    client: TestClient, as_user: Headers, as_key: Headers, kept: None
) -> None:
    headers = as_user("reviewer", name="ann")
    client.put("/v1/review/candidates/1/claim", headers=headers)
    client.post(
        "/v1/review/candidates/1/decisions",
        json={"screening_id": 1, "flags": [{"n": 0, "verdict": "confirmed"}]},
        headers=headers,
    )
    assert client.get("/v1/feedback/export", headers=as_key("export", vendor="v2")).text == ""
    assert ABUSE in client.get("/v1/feedback/export", headers=as_key("export", vendor="v1")).text


def test_search_is_off_where_texts_are_encrypted(
    settings: Settings, clock: TurnedClock, screener: Screener, service: Service, as_user: Headers
) -> None:
    headers = as_user("reviewer")
    key = SecretStr("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
    sealed = settings.model_copy(update={"encryption_keys": {"k": key}, "encryption_key": "k"})
    with TestClient(create_app(sealed, clock, ScreeningEngine(lambda: screener, queue_turns=100))) as client:
        answer = client.get("/v1/review/candidates?words=微信", headers=headers)
        assert "encryption_key" in refused(answer, 409, "search_off", "/words")
        assert client.get("/v1/review/candidates", headers=headers).status_code == 200
