from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from api.jobs import worker
from api.store.tables_access import AuditEntry
from api.wiring import Service
from lexicons.load import Lexicon
from screening.pipeline import Screener
from screening.profile import Profile
from tests.conftest import refused
from tests.ruling import small_screener

Headers = Callable[..., dict[str, str]]
OVERRIDE = {"signal": "response.slow_first", "channels": ["online"], "value": 5}
STRICT = {"name": "strict", "overrides": [OVERRIDE]}
# Answered after 20 seconds: in time for everybody but those who promise 5.
CHAT: dict[str, Any] = {
    "id": "c-1",
    "started_at": "2026-03-02T10:00:00",
    "turns": [
        {"role": "customer", "text": "在哪退", "at": "2026-03-02T10:00:00"},
        {"role": "agent", "text": "我帮您查", "at": "2026-03-02T10:00:20"},
    ],
}


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


def draft(client: TestClient, headers: dict[str, str], **fields: Any) -> dict[str, Any]:
    answer = client.post("/v1/profiles/versions", json={"title": "t", **fields}, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()


def published(client: TestClient, service: Service, author: dict[str, str], second: dict[str, str], **fields: Any) -> int:
    version = draft(client, author, **fields)["id"]
    answer = client.post(f"/v1/profiles/versions/{version}/publish", headers=second)
    assert answer.status_code == 200, answer.text
    service.follower.follow()
    return version


def late(client: TestClient, headers: dict[str, str], **fields: Any) -> tuple[bool, str]:
    """(whether the answer came too late, the digest of the profile that says so)."""
    body = client.post("/v1/screen", json=CHAT | fields, headers=headers).json()
    return "response.slow_first" in [flag["signal"] for flag in body["flags"]], body["versions"]["settings"]


@pytest.mark.slow
def test_from_draft_to_published_and_back(
    client: TestClient, service: Service, shipped: Lexicon, anna: dict[str, str], ben: dict[str, str]
) -> None:
    own = Profile().digest()
    assert late(client, anna) == (False, own)
    made = draft(client, anna, profile={"overrides": [OVERRIDE]}, note="Frühjahr")
    assert (made["state"], made["author"], made["profile"]["overrides"]) == ("draft", "anna", [OVERRIDE])
    path = f"/v1/profiles/versions/{made['id']}"
    assert client.get(path, headers=ben).json() == made
    found = client.get(f"{path}/diff", headers=ben).json()
    assert found == {
        "version": made["id"],
        "against": None,
        "fields": [{"field": "overrides", "before": [], "after": [OVERRIDE]}],
    }
    assert late(client, anna) == (False, own)
    message = refused(client.post(f"{path}/publish", headers=anna), 409, "second_person")
    assert "another person" in message
    done = client.post(f"{path}/publish", headers=ben).json()
    assert (done["state"], done["publisher"]) == ("published", "ben")
    service.follower.follow()
    present = client.get("/v1/profiles", headers=ben).json()
    assert (present["published"]["id"], present["profile"]["overrides"]) == (made["id"], [OVERRIDE])
    assert late(client, anna) == (True, present["digest"]) and present["digest"] != own
    refused(client.post(f"{path}/publish", headers=ben), 409, "wrong_state")
    back = client.post("/v1/profiles/rollback", json={"to": None, "note": "zu streng"}, headers=anna)
    assert back.status_code == 200 and back.json()["published"] is None
    service.follower.follow()
    assert late(client, anna) == (False, own)
    with service.store.read() as session:
        entries = [tuple(row) for row in session.execute(select(AuditEntry.actor, AuditEntry.action, AuditEntry.subject))]
    subject = f"profile {made['id']}"
    assert [entry for entry in entries if entry[2] == subject] == [
        ("user:anna", "profile.draft", subject),
        ("user:ben", "profile.publish", subject),
        ("user:anna", "profile.rollback", subject),
    ]


def test_a_vendor_is_screened_under_its_profile_alone_and_in_company(
    client: TestClient, service: Service, shipped: Lexicon, anna: dict[str, str], ben: dict[str, str]
) -> None:
    published(client, service, anna, ben, profiles=[STRICT], vendors={"v12": "strict"})
    present = client.get("/v1/profiles", headers=anna).json()
    assert present["vendors"] == {"v12": "strict"} and present["digests"].keys() == {"v12"}
    assert late(client, anna) == (False, present["digest"]) == (False, Profile().digest())
    assert late(client, anna, vendor_id="v12") == (True, present["digests"]["v12"])
    assert late(client, anna, vendor_id="v13") == (False, present["digest"])
    together = [CHAT | {"id": f"c-{n}", "vendor_id": vendor} for n, vendor in enumerate(("v12", "v13", "v12"))]
    results = client.post("/v1/screen/batch", json=together, headers=anna).json()["results"]
    alone = [client.post("/v1/screen", json=one, headers=anna).json() for one in together]
    assert [one["screening"] for one in results] == alone
    assert [one["versions"]["settings"] == present["digests"]["v12"] for one in alone] == [True, False, True]


def test_stored_conversations_take_up_their_vendors_profile(
    client: TestClient, service: Service, shipped: Lexicon, anna: dict[str, str], ben: dict[str, str]
) -> None:
    for vendor in ("v12", "v13"):
        assert client.post("/v1/conversations", json=CHAT | {"id": vendor, "vendor_id": vendor}, headers=anna).status_code == 201
    published(client, service, anna, ben, profiles=[STRICT], vendors={"v12": "strict"})
    job = client.post("/v1/jobs/rescreen", json={}, headers=anna).json()
    worker.drain(service)
    done = client.get(f"/v1/jobs/{job['id']}", headers=anna).json()
    assert (done["state"], done["counts"]) == ("done", {"rescreened": 1, "unchanged": 1})
    signals = {
        vendor: {flag["signal"] for flag in client.get(f"/v1/conversations/{vendor}", headers=anna).json()["screening"]["flags"]}
        for vendor in ("v12", "v13")
    }
    assert "response.slow_first" in signals["v12"] - signals["v13"]


@pytest.mark.slow
def test_a_running_worker_takes_profiles_up(
    client: TestClient, service: Service, shipped: Lexicon, anna: dict[str, str], ben: dict[str, str], screener: Screener
) -> None:
    from api import wiring
    from api.clock import system_clock

    other = wiring.build(service.settings, system_clock)
    other.engine.swap(other.follower.opened(Screener(screener.lexicon)))
    try:
        published(client, service, anna, ben, profiles=[STRICT], vendors={"v12": "strict"})
        data = b'{"id": "w-1", "vendor_id": "v12", "turns": [{"role": "agent", "text": "x"}]}'
        upload = client.post("/v1/jobs/conversations", content=data, headers=anna | {"Content-Type": "application/x-ndjson"})
        assert upload.status_code == 202, upload.text
        worker.drain(other)
        stored = client.get("/v1/conversations/w-1", headers=anna).json()["screening"]["versions"]["settings"]
        assert stored == other.engine.screener.profile_of("v12").digest() != other.engine.screener.profile.digest()
    finally:
        other.store.close()


def test_a_vendors_zone_dates_its_conversations(
    client: TestClient, service: Service, shipped: Lexicon, anna: dict[str, str], ben: dict[str, str]
) -> None:
    tokyo = {"name": "tokyo", "timezone": "Asia/Tokyo"}
    published(client, service, anna, ben, profiles=[tokyo], vendors={"v12": "tokyo"})
    for vendor in ("v12", "v13"):
        client.post("/v1/conversations", json=CHAT | {"id": vendor, "vendor_id": vendor}, headers=anna)
    from api.store.tables import StoredConversation

    with service.store.read() as session:
        begun = dict(map(tuple, session.execute(select(StoredConversation.vendor_id, StoredConversation.started_at))))
    assert begun["v13"] - begun["v12"] == 3600 * 1_000_000


def test_what_is_left_out_stays_as_it_is_in_force(
    client: TestClient, service: Service, shipped: Lexicon, anna: dict[str, str], ben: dict[str, str]
) -> None:
    first = published(client, service, anna, ben, profiles=[STRICT], vendors={"v12": "strict"})
    second = draft(client, ben, profile={"overrides": [OVERRIDE | {"value": 10}]})
    assert second["vendors"] == {"v12": "strict"} and [one["name"] for one in second["profiles"]] == ["strict"]
    found = client.get(f"/v1/profiles/versions/{second['id']}/diff", headers=anna).json()
    assert (found["against"], [one["field"] for one in found["fields"]]) == (first, ["overrides"])
    third = draft(client, ben, vendors={})
    reverse = client.get(f"/v1/profiles/versions/{first}/diff?against={third['id']}", headers=anna).json()
    assert reverse["fields"] == [{"field": "vendors", "before": {}, "after": {"v12": "strict"}}]
    refused(client.post("/v1/profiles/versions", json={"title": "again", "vendors": {}}, headers=anna), 409, "same_version")
    page = client.get("/v1/profiles/versions?state=draft&limit=1", headers=anna).json()
    assert [one["id"] for one in page["versions"]] == [third["id"]] and page["next"] == third["id"]


def test_what_was_published_meanwhile_is_not_lost(
    client: TestClient, service: Service, shipped: Lexicon, anna: dict[str, str], ben: dict[str, str]
) -> None:
    stale = draft(client, anna, profile={"overrides": [OVERRIDE]})["id"]
    published(client, service, anna, ben, profiles=[STRICT])
    refused(client.post(f"/v1/profiles/versions/{stale}/publish", headers=ben), 409, "outdated_parent")


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"profile": {"colour": "red"}}, "/profile", "unknown field `colour`"),
    ({"profile": {"standards": ["x"]}}, "/profile", "no standard 'x'; there are: "),
    ({"profile": {"standards": []}}, "/profile", "at least one standard"),
    ({"profile": {"timezone": "Beijing"}}, "/profile", "write one such as Asia/Shanghai"),
    ({"profile": {"auto_replies": ["(您好"]}}, "/profile", "auto_replies '(您好'"),
    ({"profile": {"overrides": [OVERRIDE | {"value": "soon"}]}}, "/profile/overrides/0/value", "Expected `float`"),
    ({"profile": {"overrides": [OVERRIDE | {"value": -1}]}}, "/profile", "is negative"),
    ({"profile": {"overrides": [OVERRIDE | {"signal": "rudeness.abuse"}]}}, "/profile", "has no limit; limits: "),
    (
        {"profile": {"overrides": [OVERRIDE | {"channels": ["fax"]}]}},
        "/profile/overrides/0/channels/0",
        "Invalid enum value 'fax'",
    ),
    ({"profiles": [STRICT, {"standards": ["x"], "name": "y"}]}, "/profiles/1", "no standard 'x'"),
    ({"profiles": [{"overrides": []}]}, "/profiles/0/name", "is missing"),
    ({"profiles": [STRICT, STRICT]}, "/profiles/1/name", "name of an earlier one"),
    ({"vendors": {"v12": "strict"}}, "/vendors", "not among `profiles`; there are: none"),
    ({"profiles": [STRICT], "vendors": {"v12": "stric"}}, "/vendors", "there are: strict"),
    ({"profiles": "strict"}, "/profiles", "list"),
    ({"profile": {"name": "a\u0000b"}}, "/profile", "control character"),
]


@pytest.mark.parametrize(("body", "field", "says"), BAD)
def test_bad_values_are_refused_with_their_place(
    body: dict[str, Any], field: str, says: str, client: TestClient, shipped: Lexicon, anna: dict[str, str]
) -> None:
    answer = client.post("/v1/profiles/versions", json={"title": "x"} | body, headers=anna)
    assert says in refused(answer, 422, "invalid", field)
    assert client.get("/v1/profiles/versions", headers=anna).json()["versions"] == []
