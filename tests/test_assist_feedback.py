import json
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from api.store.engine import Store
from api.store.tables_access import AuditEntry
from api.store.tables_assist import AssistFeedback
from api.wiring import Service
from tests.conftest import refused

Headers = Callable[..., dict[str, str]]
CONVERSATION = {
    "id": "run-1",
    "vendor_id": "v1",
    "agent_id": "a7",
    "turns": [
        {"role": "customer", "text": "能便宜点吗", "at": "2026-03-02T10:00:00+08:00"},
        {"role": "agent", "text": "您好，稍等", "at": "2026-03-02T11:00:00+08:00"},
    ],
}
DIVERTS = "您加我微信，我给您便宜"


def answer(outcome: str, draft: str = DIVERTS, check_id: str = "ck-1", **more: object) -> dict:
    return {"check_id": check_id, "outcome": outcome, "conversation": CONVERSATION, "draft": draft, **more}


def queued(client: TestClient, headers: dict[str, str]) -> list[dict]:
    return client.get("/v1/review/candidates", headers=headers).json()["items"]


def test_an_overridden_warning_comes_before_a_reviewer_and_into_the_export(
    client: TestClient, as_key: Headers, as_user: Headers, service: Service
) -> None:
    desk, reviewer = as_key("screen", vendor="v1"), as_user("reviewer")
    made = client.post("/v1/assist/feedback", json=answer("overridden", note="客户自己要的"), headers=desk)
    assert made.status_code == 201, made.text
    kept = made.json()
    assert (kept["verdict"], kept["vendor_id"], kept["conversation_id"]) == ("block", "v1", "run-1")
    assert [(flag["signal"], flag["action"]) for flag in kept["flags"]] == [("diversion.private_contact", "block")]
    assert kept["review_conversation_id"] == "assist:ck-1"
    (item,) = queued(client, reviewer)
    assert (item["clause"], item["level"], item["conversation_id"]) == ("A.diversion", "A", "assist:ck-1")
    view = client.get(f"/v1/review/candidates/{item['id']}", headers=reviewer).json()
    assert [turn["text"] for turn in view["conversation"]["turns"]] == ["能便宜点吗", "您好，稍等", DIVERTS]
    assert view["conversation"]["attributes"]["assist"] == {
        "conversation_id": "run-1",
        "check_id": "ck-1",
        "outcome": "overridden",
    }
    (flag,) = view["candidates"][0]["flags"]
    verdicts = [{"n": flag, "verdict": "confirmed"}]
    decision = {"screening_id": view["screening_id"], "verdict": "confirmed", "flags": verdicts}
    assert client.put(f"/v1/review/candidates/{item['id']}/claim", headers=reviewer).status_code == 200
    decided = client.post(f"/v1/review/candidates/{item['id']}/decisions", json=decision, headers=reviewer)
    assert decided.status_code in (200, 201), decided.text
    exported = client.get("/v1/feedback/export", headers=as_user("lead")).text.splitlines()
    assert any(json.loads(line)["text"] == DIVERTS for line in exported), exported
    with service.store.read() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "warning_overridden")).one()
    assert entry.subject == "check:ck-1"
    assert DIVERTS not in entry.detail


def test_what_went_out_is_kept_where_it_differs(client: TestClient, as_key: Headers, as_user: Headers) -> None:
    body = answer("overridden", sent="那您加我QQ吧，便宜一百")
    assert client.post("/v1/assist/feedback", json=body, headers=as_key("screen")).status_code == 201
    reviewer = as_user("reviewer")
    (item,) = queued(client, reviewer)
    view = client.get(f"/v1/review/candidates/{item['id']}", headers=reviewer).json()
    assert view["conversation"]["turns"][-1]["text"] == body["sent"]
    clean = answer("overridden", check_id="ck-2", sent="好的，我帮您查一下")
    kept = client.post("/v1/assist/feedback", json=clean, headers=as_key("screen")).json()
    assert kept["review_conversation_id"] is None  # nothing in it for a reviewer
    assert len(queued(client, reviewer)) == 1


@pytest.mark.parametrize("outcome", ["accepted", "dismissed"])
def test_accepted_and_dismissed_are_kept_without_words(
    client: TestClient, as_key: Headers, as_user: Headers, service: Service, outcome: str
) -> None:
    kept = client.post("/v1/assist/feedback", json=answer(outcome, rule="some-rule"), headers=as_key("screen"))
    assert kept.status_code == 201
    assert kept.json()["review_conversation_id"] is None
    assert queued(client, as_user("reviewer")) == []
    with service.store.read() as session:
        row = session.scalars(select(AssistFeedback)).one()
        assert (row.outcome, row.rule, row.verdict) == (outcome, "some-rule", "block")
        words = "".join(str(value) for value in vars(row).values())
    assert not any(word in words for word in ("微信", "便宜"))


def test_the_same_again_changes_nothing(client: TestClient, as_key: Headers, service: Service) -> None:
    desk = as_key("screen")
    first = client.post("/v1/assist/feedback", json=answer("overridden"), headers=desk)
    again = client.post("/v1/assist/feedback", json=answer("overridden"), headers=desk)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    other = client.post("/v1/assist/feedback", json=answer("dismissed"), headers=desk)
    assert other.status_code == 201
    with service.store.read() as session:
        assert len(session.scalars(select(AssistFeedback)).all()) == 2


def test_refusals(client: TestClient, as_key: Headers, as_user: Headers) -> None:
    desk = as_key("screen")

    def sent(headers: dict[str, str] = desk, **change: object) -> object:
        return client.post("/v1/assist/feedback", json=answer("accepted") | change, headers=headers)

    refused(sent({}), 401, "unauthenticated")
    refused(sent(as_key("read")), 403, "forbidden")
    refused(sent(as_key("screen", vendor="v2")), 403, "other_vendor", "/vendor_id")
    refused(sent(outcome="ignored"), 422, "invalid", "/outcome")
    refused(sent(check_id="a b"), 422, "invalid", "/check_id")
    refused(sent(extra=1), 422, "invalid", "/extra")
    refused(sent(draft=" "), 422, "invalid", "/draft")
    refused(sent(sent=""), 422, "invalid", "/sent")
    refused(sent(conversation={"id": "x"}), 422, "invalid", "/conversation/turns")
    message = refused(sent(draft="好的，我帮您查一下"), 422, "invalid", "/draft")
    assert "nothing is flagged" in message
    assert sent().status_code == 201
    refused(sent(conversation=CONVERSATION | {"id": "run-2"}), 409, "id_taken", "/check_id")
    assert (
        client.post("/v1/assist/feedback", json=answer("accepted", check_id="ck-9"), headers=as_user("agent_desk")).status_code
        == 201
    )


def test_the_list_is_paged_filtered_and_of_ones_own_vendor(client: TestClient, as_key: Headers, as_user: Headers) -> None:
    for number in range(3):
        outcome = "dismissed" if number else "overridden"
        client.post("/v1/assist/feedback", json=answer(outcome, check_id=f"ck-{number}"), headers=as_key("screen"))
    reviewer = as_user("reviewer")
    first = client.get("/v1/assist/feedback?limit=2", headers=reviewer).json()
    assert [item["check_id"] for item in first["items"]] == ["ck-2", "ck-1"]
    rest = client.get(f"/v1/assist/feedback?before={first['next']}", headers=reviewer).json()
    assert ([item["check_id"] for item in rest["items"]], rest["next"]) == (["ck-0"], None)
    only = client.get("/v1/assist/feedback?outcome=overridden", headers=reviewer).json()
    assert [item["review_conversation_id"] for item in only["items"]] == ["assist:ck-0"]
    other = as_user("vendor", vendor="v2")
    assert client.get("/v1/assist/feedback", headers=other).json()["items"] == []
    refused(client.get("/v1/assist/feedback", headers=as_key("screen")), 403, "forbidden")


def test_rows_are_only_added(store: Store) -> None:
    row = dict.fromkeys(("check_id", "actor", "conversation", "flags", "versions"), "x")
    with store.write() as session:
        session.add(AssistFeedback(**row, at=1, outcome="accepted", verdict="block"))
    for statement in ("UPDATE assist_feedback SET rule = 'y'", "DELETE FROM assist_feedback"):
        with pytest.raises(DBAPIError, match="rows are only added"), store.write() as session:
            session.execute(text(statement))
