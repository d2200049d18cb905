from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from api.store.tables_access import AuditEntry
from api.wiring import Service
from lexicons.load import Lexicon
from screening.pipeline import Screener
from tests.conftest import refused
from tests.ruling import COUNTER, SAID, small_screener, table

Headers = Callable[..., dict[str, str]]
CHAT = {"id": "c-1", "turns": [{"role": "customer", "text": "在哪退"}, {"role": "agent", "text": SAID}]}


@pytest.fixture(scope="module")
def screener() -> Screener:
    return small_screener()


@pytest.fixture
def anna(as_user: Headers) -> dict[str, str]:
    return as_user("lead", name="anna")


@pytest.fixture
def ben(as_user: Headers) -> dict[str, str]:
    return as_user("lead", name="ben")


@pytest.fixture
def shipped(service: Service, client: TestClient, anna: dict[str, str]) -> Lexicon:
    client.post("/v1/screen", json=CHAT, headers=anna)  # the engine is there by now
    return service.follower.shipped[0]


def draft(client: TestClient, headers: dict[str, str], *rules: dict[str, Any], **fields: Any) -> dict[str, Any]:
    answer = client.post("/v1/rules/versions", json={"title": "Theke", "rules": rules or [COUNTER], **fields}, headers=headers)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/v1/rules/versions/{answer.json()['id']}"
    return answer.json()


def move(client: TestClient, headers: dict[str, str], version: int, how: str) -> dict[str, Any]:
    answer = client.post(f"/v1/rules/versions/{version}/{how}", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def published(client: TestClient, author: dict[str, str], second: dict[str, str], *rules: dict[str, Any], **fields: Any) -> int:
    version = draft(client, author, *rules, **fields)["id"]
    move(client, author, version, "shadow")
    move(client, second, version, "publish")
    return version


def screened(client: TestClient, service: Service, headers: dict[str, str]) -> tuple[list[tuple[str, str]], dict[str, Any]]:
    """((rule, status) of each flag, versions), once what is in force was taken up."""
    service.follower.follow()
    body = client.post("/v1/screen", json=CHAT, headers=headers).json()
    return [(flag["source"]["id"], flag["status"]) for flag in body["flags"]], body["versions"]


@pytest.mark.slow
def test_from_draft_over_shadow_to_published_and_back(
    client: TestClient, service: Service, shipped: Lexicon, anna: dict[str, str], ben: dict[str, str]
) -> None:
    before = screened(client, service, anna)
    assert before[0] == [] and before[1]["lexicon"] == shipped.version
    made = draft(client, anna)
    assert (made["state"], made["author"], made["publisher"], made["parent"]) == ("draft", "anna", None, None)
    assert made["digest"].startswith("sha256:") and [rule["id"] for rule in made["rules"]] == [COUNTER["id"]]
    assert screened(client, service, anna) == before
    move(client, anna, made["id"], "shadow")
    flags, versions = screened(client, service, anna)
    assert flags == [(COUNTER["id"], "shadow")] and versions["lexicon"] not in (shipped.version, made["lexicon"])
    done = move(client, ben, made["id"], "publish")
    assert (done["state"], done["publisher"]) == ("published", "ben")
    flags, versions = screened(client, service, anna)
    assert flags == [(COUNTER["id"], "active")] and versions["lexicon"] == made["lexicon"]
    assert client.get("/readyz").json()["versions"]["lexicon"] == made["lexicon"]
    assert made["lexicon"] in client.get("/metrics").text
    found = client.get("/v1/rules", headers=anna).json()
    assert (found["shipped"], found["lexicon"], found["published"]["id"]) == (shipped.version, made["lexicon"], made["id"])
    back = client.post("/v1/rules/rollback", json={"to": None, "note": "zu weit"}, headers=ben)
    assert back.status_code == 200 and back.json()["published"] is None
    assert screened(client, service, anna) == before
    with service.store.read() as session:
        entries = [tuple(row) for row in session.execute(select(AuditEntry.actor, AuditEntry.action, AuditEntry.subject))]
    subject = f"rules {made['id']}"
    assert [entry for entry in entries if entry[2] == subject] == [
        ("user:anna", "rules.draft", subject),
        ("user:anna", "rules.shadow", subject),
        ("user:ben", "rules.publish", subject),
        ("user:ben", "rules.rollback", subject),
    ]


def test_the_author_cannot_publish(client: TestClient, shipped: Lexicon, anna: dict[str, str]) -> None:
    version = draft(client, anna)["id"]
    move(client, anna, version, "shadow")
    message = refused(client.post(f"/v1/rules/versions/{version}/publish", headers=anna), 409, "second_person")
    assert "another person" in message


def test_a_draft_goes_through_the_shadow(client: TestClient, shipped: Lexicon, anna: dict[str, str], ben: dict[str, str]) -> None:
    version = draft(client, anna)["id"]
    assert "shadow" in refused(client.post(f"/v1/rules/versions/{version}/publish", headers=ben), 409, "wrong_state")
    refused(client.post(f"/v1/rules/versions/{version}/withdraw", headers=ben), 409, "wrong_state")
    move(client, anna, version, "shadow")
    refused(client.post(f"/v1/rules/versions/{version}/shadow", headers=ben), 409, "wrong_state")
    assert move(client, anna, version, "withdraw")["state"] == "rolled_back"
    assert move(client, anna, version, "shadow")["state"] == "shadow"


def test_what_was_published_meanwhile_is_not_lost(
    client: TestClient, shipped: Lexicon, anna: dict[str, str], ben: dict[str, str]
) -> None:
    late = draft(client, anna, table(COUNTER, id="shirking-late"))["id"]
    move(client, anna, late, "shadow")
    published(client, anna, ben)
    refused(client.post(f"/v1/rules/versions/{late}/publish", headers=ben), 409, "outdated_parent")
    again = draft(client, anna, table(COUNTER, id="shirking-later", any_of=["去隔壁那家问"], hit=["您«去隔壁那家问»"]))
    assert [rule["id"] for rule in again["rules"]] == ["shirking-later", COUNTER["id"]]


@pytest.mark.slow
def test_versions_follow_each_other_and_one_goes_back(
    client: TestClient, service: Service, shipped: Lexicon, anna: dict[str, str], ben: dict[str, str]
) -> None:
    first = published(client, anna, ben)
    wider = table(COUNTER, version=2, any_of=["找隔壁柜台"], hit=["您«找隔壁柜台»问去"])
    second = published(client, ben, anna, wider)
    states = [(row["id"], row["state"]) for row in client.get("/v1/rules/versions", headers=anna).json()["versions"]]
    assert states == [(second, "published"), (first, "superseded")]
    found = client.get(f"/v1/rules/versions/{second}/diff", headers=anna).json()
    (change,) = found["changes"]
    assert (found["against"], change["change"], [one["field"] for one in change["fields"]]) == (
        first,
        "changed",
        ["version", "hit", "any_of"],
    )
    back = client.post("/v1/rules/rollback", json={"to": first}, headers=anna).json()
    assert back["published"]["id"] == first
    assert client.get(f"/v1/rules/versions/{second}", headers=anna).json()["state"] == "rolled_back"
    refused(client.post("/v1/rules/rollback", json={"to": first}, headers=anna), 409, "wrong_state")
    reverse = client.get(f"/v1/rules/versions/{first}/diff?against={second}", headers=anna).json()
    assert reverse["changes"][0]["fields"][0] == {"field": "version", "before": 2, "after": 1}


def test_a_shipped_rule_is_replaced_or_retired(
    client: TestClient, service: Service, shipped: Lexicon, anna: dict[str, str], ben: dict[str, str]
) -> None:
    rule = next(rule for rule in shipped.rules if rule.any_of)
    retired = table(rule, version=rule.version + 1, status="retired", reason="trifft hier nicht zu")
    version = draft(client, anna, retired)
    (change,) = client.get(f"/v1/rules/versions/{version['id']}/diff", headers=anna).json()["changes"]
    assert (change["rule"], {one["field"] for one in change["fields"]}) == (rule.id, {"version", "status", "reason"})
    move(client, anna, version["id"], "shadow")
    move(client, ben, version["id"], "publish")
    service.follower.follow()
    (shown,) = client.get(f"/v1/rules/lexicon/{rule.id}", headers=anna).json()["rules"]
    assert (shown["origin"], shown["rule"]["status"]) == ("overlay", "retired")
    undone = client.post("/v1/rules/versions", json={"title": "zurück", "drop": [rule.id]}, headers=anna)
    assert undone.json()["rules"] == []
    refused(
        client.post("/v1/rules/versions", json={"title": "x", "drop": ["unknown"]}, headers=anna), 409, "not_changed", "/drop/0"
    )


def test_the_rules_that_run_are_listed_with_their_origin(
    client: TestClient, service: Service, shipped: Lexicon, anna: dict[str, str]
) -> None:
    rule = next(rule for rule in shipped.rules if rule.any_of)
    changed = table(rule, title="anders", version=rule.version)
    version = draft(client, anna, changed, COUNTER)["id"]
    move(client, anna, version, "shadow")
    service.follower.follow()
    tried = client.get("/v1/rules/lexicon?origin=shadow", headers=anna).json()["rules"]
    assert {one["rule"]["id"] for one in tried} == {rule.id, COUNTER["id"]}
    both = client.get(f"/v1/rules/lexicon/{rule.id}", headers=anna).json()["rules"]
    assert [one["origin"] for one in both] == ["shipped", "shadow"]
    ids, after = [], None
    while True:
        query = {"limit": "7"} | ({"after": after} if after else {})
        page = client.get("/v1/rules/lexicon", params=query, headers=anna).json()
        ids += [one["rule"]["id"] for one in page["rules"]]
        after = page["next"]
        if after is None:
            break
    assert sorted(set(ids)) == sorted({one.id for one in shipped.rules} | {COUNTER["id"]})
    assert len(ids) == len(shipped.rules) + 2
    found = client.get("/v1/rules/lexicon?signal=shirking&text=隔壁柜台问去", headers=anna).json()["rules"]
    assert [one["rule"]["id"] for one in found] == [COUNTER["id"]]
    refused(client.get("/v1/rules/lexicon/unknown", headers=anna), 404, "not_found")


WRONG = [
    ({"hit": ["您«找隔壁»柜台问去"]}, "hit", "is not found"),
    ({"miss": ["找隔壁柜台问去", "好"]}, "miss", "is hit at"),
    ({"miss": ["好"]}, "miss", "at least two"),
    ({"signal": "shirkin"}, "signal", "none of the contract's signals"),
    ({"any_of": ["找隔壁柜台问去", "去别家问"]}, "hit", "no hit shows the phrase"),
    ({"any_of": ["別處問去"], "hit": ["您«別處問去»"]}, "any_of", "written otherwise"),
    ({"references": ["jd-zhitongche/Z.nothing"]}, "references", "has no clause"),
    ({"any_of": [], "pattern": "(找|去"}, "pattern", ""),
    ({"suggestion": None}, "suggestion", "is missing"),
    ({"suggestion": "您找隔壁柜台问去"}, "suggestion", "raises shirking"),
    ({"id": "Not An Id"}, "id", "is made of"),
    ({"title": "x" * 70_000}, None, "is larger than"),
    ({"version": 0}, "version", "counts from 1"),
]


@pytest.mark.parametrize(("change", "field", "says"), WRONG)
def test_a_wrong_rule_is_refused_with_its_place(
    change: dict[str, Any], field: str | None, says: str, client: TestClient, shipped: Lexicon, anna: dict[str, str]
) -> None:
    rules = [table(COUNTER, id="shirking-right", any_of=["去隔壁那家问"], hit=["您«去隔壁那家问»"]), table(COUNTER, **change)]
    pointer = "/rules/1" + (f"/{field}" if field else "")
    answer = client.post("/v1/rules/versions", json={"title": "x", "rules": rules}, headers=anna)
    assert says in refused(answer, 422, "rules_invalid", pointer)
    (first, *_) = client.post("/v1/rules/check", json={"rules": rules}, headers=anna).json()["problems"]
    assert (first["rule"], first["field"]) == (rules[1]["id"], field) and says in first["message"]
    assert client.get("/v1/rules/versions", headers=anna).json()["versions"] == []


def test_a_version_number_stands_for_one_behaviour(
    client: TestClient, shipped: Lexicon, anna: dict[str, str], ben: dict[str, str]
) -> None:
    published(client, anna, ben)
    other = table(COUNTER, any_of=["找隔壁柜台"], hit=["您«找隔壁柜台»问去"])
    answer = client.post("/v1/rules/versions", json={"title": "x", "rules": [other]}, headers=anna)
    assert "raise it to 2" in refused(answer, 422, "rules_invalid", "/rules/0/version")


BAD = [
    ({"rules": [COUNTER]}, "/title"),
    ({"title": "x", "rules": [table(COUNTER, colour="red")]}, "/rules/0"),
    ({"title": "x", "rules": [table(COUNTER, version="one")]}, "/rules/0/version"),
    ({"title": "x", "rules": [table(COUNTER, after={"pattern": 1})]}, "/rules/0/after/pattern"),
    ({"title": "x", "rules": ["x"]}, "/rules/0"),
    ({"title": "x", "rules": [table(COUNTER, title="a\u0000b")]}, "/rules/0"),
    ({"title": "x"}, "/rules"),
    ({"title": "x", "rules": [COUNTER], "more": 1}, "/more"),
    ({"title": "x", "rules": [COUNTER], "parent": 0}, "/parent"),
]


@pytest.mark.parametrize(("body", "field"), BAD)
def test_a_body_that_is_no_draft_is_refused(
    body: dict[str, Any], field: str, client: TestClient, shipped: Lexicon, anna: dict[str, str]
) -> None:
    refused(client.post("/v1/rules/versions", json=body, headers=anna), 422, "invalid", field)


def test_half_of_a_character_is_refused(client: TestClient, shipped: Lexicon, anna: dict[str, str]) -> None:
    body = b'{"title": "x", "rules": [{"id": "a", "title": "\\ud800"}]}'
    answer = client.post("/v1/rules/versions", content=body, headers=anna | {"Content-Type": "application/json"})
    refused(answer, 422, "invalid", "/rules/0")


def test_the_same_content_is_one_version(client: TestClient, shipped: Lexicon, anna: dict[str, str], ben: dict[str, str]) -> None:
    made = draft(client, anna)
    answer = client.post("/v1/rules/versions", json={"title": "again", "rules": [COUNTER]}, headers=ben)
    assert f"version {made['id']} " in refused(answer, 409, "same_version")


READS = ["/v1/rules", "/v1/rules/lexicon", "/v1/rules/lexicon/x", "/v1/rules/versions", "/v1/rules/versions/1"]
READS += ["/v1/rules/versions/1/diff", "/v1/profiles", "/v1/profiles/versions", "/v1/profiles/versions/1"]
READS += ["/v1/profiles/versions/1/diff", "/v1/rules/back-tests", "/v1/rules/back-tests/1"]
WRITES = [
    "/v1/rules/check",
    "/v1/rules/versions",
    "/v1/rules/scores",
    "/v1/rules/rollback",
    "/v1/profiles/versions",
    "/v1/profiles/rollback",
]
WRITES += [f"/v1/rules/versions/1/{how}" for how in ("shadow", "withdraw", "publish", "back-tests")]
WRITES += ["/v1/profiles/versions/1/publish"]


@pytest.mark.parametrize(("method", "path"), [("GET", path) for path in READS] + [("POST", path) for path in WRITES])
def test_only_leads_and_administrators(method: str, path: str, client: TestClient, as_user: Headers, as_key: Headers) -> None:
    refused(client.request(method, path, json={}), 401, "unauthenticated")
    for headers in (as_user("reviewer"), as_user("agent_desk"), as_user("vendor", vendor="v1"), as_key("read", "jobs")):
        refused(client.request(method, path, json={}, headers=headers), 403, "forbidden")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/rules/versions/9", None),
        ("GET", "/v1/rules/versions/9/diff", None),
        ("POST", "/v1/rules/versions", {"title": "x", "rules": [COUNTER], "parent": 9}),
        *(("POST", f"/v1/rules/versions/9/{how}", {}) for how in ("shadow", "withdraw", "publish", "back-tests")),
        ("GET", "/v1/profiles/versions/9", None),
        ("GET", "/v1/profiles/versions/9/diff", None),
        ("POST", "/v1/profiles/versions/9/publish", {}),
        ("GET", "/v1/rules/back-tests/9", None),
    ],
)
def test_what_is_not_there(
    method: str, path: str, body: object, client: TestClient, shipped: Lexicon, anna: dict[str, str]
) -> None:
    assert "9" in refused(client.request(method, path, json=body, headers=anna), 404, "not_found")


def test_nothing_to_roll_back(client: TestClient, anna: dict[str, str]) -> None:
    for subject in ("rules", "profiles"):
        refused(client.post(f"/v1/{subject}/rollback", json={"to": None}, headers=anna), 409, "wrong_state")
        refused(client.post(f"/v1/{subject}/rollback", json={}, headers=anna), 422, "invalid", "/to")
