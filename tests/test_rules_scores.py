"""Judged flags reach the scores: a lead drafts a version with them, another person publishes it."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from api.store.tables_access import AuditEntry
from api.wiring import Service
from screening.pipeline import Screener
from tests.conftest import refused
from tests.ruling import COUNTER, SAID, small_screener, table

Headers = Callable[..., dict[str, str]]


@pytest.fixture(scope="module")
def screener() -> Screener:
    return small_screener()


@pytest.fixture
def anna(as_user: Headers, client: TestClient) -> dict[str, str]:
    headers = as_user("lead", name="anna")
    client.post("/v1/screen", json=chat("c"), headers=headers)  # the engine is there by now
    return headers


@pytest.fixture
def ben(as_user: Headers) -> dict[str, str]:
    return as_user("lead", name="ben")


def chat(id_: str) -> dict[str, Any]:
    return {"id": id_, "turns": [{"role": "customer", "text": "在哪退"}, {"role": "agent", "text": SAID}]}


def published(client: TestClient, service: Service, version: int, first: dict[str, str], second: dict[str, str]) -> None:
    for headers, how in ((first, "shadow"), (second, "publish")):
        answer = client.post(f"/v1/rules/versions/{version}/{how}", headers=headers)
        assert answer.status_code == 200, answer.text
    service.follower.follow()


def with_rule(client: TestClient, service: Service, anna: dict[str, str], ben: dict[str, str], rule: dict[str, Any]) -> int:
    made = client.post("/v1/rules/versions", json={"title": "Theke", "rules": [rule]}, headers=anna).json()
    published(client, service, made["id"], anna, ben)
    return int(made["id"])


def judge(client: TestClient, headers: dict[str, str], name: str, verdict: str) -> None:
    """Store a conversation and judge the one flag of its candidate."""
    assert client.post("/v1/conversations", json=chat(name), headers=headers).status_code == 201
    held = client.post("/v1/review/next", json={}, headers=headers).json()["candidate"]
    flags = [{"n": 0, "verdict": verdict} | ({"reason": "quoted"} if verdict == "rejected" else {})]
    body = {"screening_id": held["screening_id"], "verdict": "confirmed", "flags": flags}
    made = client.post(f"/v1/review/candidates/{held['id']}/decisions", json=body, headers=headers)
    assert made.status_code == 201, made.text


def score(client: TestClient, headers: dict[str, str]) -> tuple[float, bool]:
    (flag,) = client.post("/v1/screen", json=chat("x"), headers=headers).json()["flags"]
    return flag["score"], flag["source"].get("prior", False)


def draft(client: TestClient, headers: dict[str, str], **fields: Any) -> dict[str, Any]:
    answer = client.post("/v1/rules/scores", json={"title": "Urteile"} | fields, headers=headers)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/v1/rules/versions/{answer.json()['id']}"
    return answer.json()


@pytest.mark.slow
def test_twenty_judged_flags_make_a_score_of_ones_own(
    client: TestClient, service: Service, anna: dict[str, str], ben: dict[str, str]
) -> None:
    first = with_rule(client, service, anna, ben, COUNTER)
    right, wrong = service.engine.screener.lexicon.scores["shirking"]
    precision = (right + 1) / (right + wrong + 2)
    assert score(client, anna) == (round(precision, 3), True)
    before = service.engine.screener.versions.lexicon
    for n in range(19):
        judge(client, anna, f"c-{n}", "rejected" if n % 2 else "confirmed")
    judge(client, anna, "unsure", "unsure")
    made = draft(client, anna, note="März")
    assert made["judged"] == {COUNTER["id"]: [1, 10, 9]}
    assert (made["state"], made["author"], [rule["id"] for rule in made["rules"]]) == ("draft", "anna", [COUNTER["id"]])
    found = client.get(f"/v1/rules/versions/{made['id']}/diff", headers=ben).json()
    assert (found["against"], found["changes"]) == (first, [])
    assert found["judged"] == [{"field": COUNTER["id"], "before": None, "after": [1, 10, 9]}]
    client.post(f"/v1/rules/versions/{made['id']}/shadow", headers=anna)
    refused(client.post(f"/v1/rules/versions/{made['id']}/publish", headers=anna), 409, "second_person")
    assert client.post(f"/v1/rules/versions/{made['id']}/publish", headers=ben).status_code == 200
    service.follower.follow()
    assert service.engine.screener.versions.lexicon == made["lexicon"] != before
    assert score(client, anna) == (round((10 + 10 * precision) / 29, 3), True)

    judge(client, anna, "c-20", "rejected")
    second = draft(client, anna)
    assert second["parent"] == made["digest"] and second["judged"] == {COUNTER["id"]: [1, 10, 10]}
    published(client, service, second["id"], anna, ben)
    assert score(client, anna) == (round((10 + 10 * precision) / 30, 3), False)
    with service.store.read() as session:
        actions = list(session.scalars(select(AuditEntry.action).where(AuditEntry.subject == f"rules {second['id']}")))
    assert actions == ["rules.draft", "rules.shadow", "rules.publish"]

    back = client.post("/v1/rules/rollback", json={"to": made["id"]}, headers=ben)
    assert back.status_code == 200
    service.follower.follow()
    assert score(client, anna)[1]


@pytest.mark.slow
def test_another_version_of_the_rule_begins_anew(
    client: TestClient, service: Service, anna: dict[str, str], ben: dict[str, str]
) -> None:
    with_rule(client, service, anna, ben, COUNTER)
    prior = score(client, anna)
    for n in range(3):
        judge(client, anna, f"c-{n}", "rejected")
    published(client, service, draft(client, anna)["id"], anna, ben)
    lower = score(client, anna)
    assert lower[0] < prior[0]
    other = table(COUNTER, id="shirking-other", any_of=["去隔壁那家问"], hit=["您«去隔壁那家问»"])
    with_rule(client, service, anna, ben, other)
    assert score(client, anna) == lower  # a change of other rules keeps what was judged
    with_rule(client, service, anna, ben, table(COUNTER, version=2, any_of=["找隔壁柜台"], hit=["您«找隔壁柜台»问去"]))
    assert score(client, anna) == prior


@pytest.mark.slow
def test_nothing_judged_is_said(client: TestClient, service: Service, anna: dict[str, str], ben: dict[str, str]) -> None:
    message = refused(client.post("/v1/rules/scores", json={"title": "x"}, headers=anna), 409, "nothing_judged")
    assert "no flag was confirmed or rejected" in message
    refused(client.post("/v1/rules/scores", json={}, headers=anna), 422, "invalid", "/title")
    refused(client.post("/v1/rules/scores", json={"title": "x", "parent": 9}, headers=anna), 404, "not_found")
    with_rule(client, service, anna, ben, COUNTER)
    judge(client, anna, "c", "confirmed")
    draft(client, anna)
    refused(client.post("/v1/rules/scores", json={"title": "again"}, headers=anna), 409, "same_version")
