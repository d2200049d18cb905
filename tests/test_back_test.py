from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api import ingest, wiring
from api.jobs import worker
from api.wiring import Service
from screening.pipeline import Screener
from screening.types import Conversation, Turn
from tests.conftest import refused
from tests.ruling import COUNTER, SAID, small_screener, table

Headers = Callable[..., dict[str, str]]
DIVERSION = "加我微信，那边便宜一百"


@pytest.fixture(scope="module")
def screener() -> Screener:
    return small_screener()


def chat(n: int, said: str, agent: str = "a1") -> Conversation:
    return Conversation(id=f"c-{n}", turns=(Turn("customer", "在哪"), Turn("agent", said)), agent_id=agent, vendor_id="v1")


def keep(client: TestClient, service: Service, headers: dict[str, str], *chats: Conversation) -> None:
    client.get("/v1/rules", headers=headers)
    made = list(service.engine.screener.screen_many(chats))
    with service.store.write() as session:
        ingest.keep(session, list(zip(chats, made, strict=True)), wiring.keeping(service), service.clock())


def draft(client: TestClient, headers: dict[str, str], *rules: dict[str, Any]) -> int:
    answer = client.post("/v1/rules/versions", json={"title": "x", "rules": rules}, headers=headers)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def report_of(client: TestClient, service: Service, headers: dict[str, str], version: int, **body: Any) -> dict[str, Any]:
    answer = client.post(f"/v1/rules/versions/{version}/back-tests", json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    waiting = client.get(answer.headers["location"], headers=headers).json()
    assert (waiting["version"], waiting["report"], waiting["finished_at"]) == (version, None, None)
    worker.drain(service)
    job = client.get(f"/v1/jobs/{waiting['job_id']}", headers=headers).json()
    assert (job["kind"], job["state"], job["refused"]) == ("back_test", "done", 0)
    done = client.get(answer.headers["location"], headers=headers).json()
    assert done["report"]["conversations"] == job["done"] == job["total"]
    return dict(done["report"])


@pytest.fixture
def lead(client: TestClient, as_user: Headers) -> dict[str, str]:
    headers = as_user("lead")
    client.post("/v1/screen", json={"id": "c", "turns": [{"role": "agent", "text": "您好"}]}, headers=headers)
    return headers


def test_hits_that_come(client: TestClient, service: Service, lead: dict[str, str]) -> None:
    keep(client, service, lead, chat(1, SAID), chat(2, "您好", "a2"), chat(3, SAID, "a3"), chat(4, SAID, "a3"))
    found = report_of(client, service, lead, draft(client, lead, COUNTER))
    assert (found["conversations"], found["affected"], found["new"], found["lost"]) == (4, 3, 3, 0)
    assert found["agents"] == [{"id": "a3", "conversations": 2}, {"id": "a1", "conversations": 1}]
    assert found["vendors"] == [{"id": "v1", "conversations": 3}]
    assert found["levels"] == {"- > B": 3}
    assert found["new_samples"][0] == {
        "conversation_id": "c-1",
        "rule": COUNTER["id"],
        "signal": "shirking",
        "turn": 1,
        "start": 1,
        "end": 8,
    }
    assert found["precision"] == {"judged": 0, "confirmed": 0, "estimate": None, "low": 0.0, "high": 1.0}


def test_hits_that_go_and_what_people_said_on_them(
    client: TestClient, service: Service, lead: dict[str, str], as_user: Headers
) -> None:
    keep(client, service, lead, *(chat(n, DIVERSION) for n in range(1, 4)))
    for n, (verdict, reason) in enumerate([("confirmed", None), ("rejected", "rule_too_wide")], 1):
        judge(client, lead, f"c-{n}", verdict, reason)
    screening = service.engine.screener.screen(chat(1, DIVERSION))
    wrong = {flag.source.id for flag in screening.flags if flag.status == "active"}
    rules = [rule for rule in service.engine.screener.lexicon.rules if rule.id in wrong]
    assert rules
    retired = [table(rule, version=rule.version + 1, status="retired", reason="x") for rule in rules]
    found = report_of(client, service, lead, draft(client, lead, *retired))
    assert (found["new"], found["lost"], found["affected"]) == (0, 3 * len(rules), 3)
    assert (found["lost_confirmed"], found["lost_rejected"]) == (1, 1)
    assert found["levels"] == {"A > -": 3}
    kept = table(rules[0], version=rules[0].version + 1, title="anders")
    same = report_of(client, service, lead, draft(client, lead, kept))
    assert (same["new"], same["lost"], same["affected"]) == (0, 0, 0)
    assert (same["precision"]["judged"], same["precision"]["estimate"]) == (2, 0.5)
    (rule,) = same["rules"]
    assert rule["history"] == [{"version": rules[0].version, "confirmed": 1, "rejected": 1}]


def judge(client: TestClient, headers: dict[str, str], conversation: str, verdict: str, reason: str | None) -> None:
    """A verdict on the first flag of the conversation's candidate."""
    found = client.get("/v1/review/candidates", headers=headers).json()["items"]
    (candidate,) = [one for one in found if one["conversation_id"] == conversation]
    path = f"/v1/review/candidates/{candidate['id']}"
    assert client.put(f"{path}/claim", headers=headers).status_code == 200
    judgement = {"n": candidate["flags"][0], "verdict": verdict} | ({"reason": reason} if reason else {})
    body = {"screening_id": candidate["screening_id"], "flags": [judgement]}
    answer = client.post(f"{path}/decisions", json=body, headers=headers)
    assert answer.status_code == 201, answer.text


def test_only_the_newest_that_fit(client: TestClient, service: Service, lead: dict[str, str]) -> None:
    keep(client, service, lead, *(chat(n, SAID, f"a{n}") for n in range(1, 6)))
    version = draft(client, lead, COUNTER)
    newest = report_of(client, service, lead, version, limit=2)
    assert [one["conversation_id"] for one in newest["new_samples"]] == ["c-4", "c-5"]
    assert report_of(client, service, lead, version, agent_id="a2")["conversations"] == 1
    assert report_of(client, service, lead, version, agent_id="nobody")["conversations"] == 0
    page = client.get(f"/v1/rules/back-tests?version={version}&limit=2", headers=lead).json()
    assert len(page["back_tests"]) == 2
    older = client.get(f"/v1/rules/back-tests?before={page['next']}", headers=lead).json()
    assert (len(older["back_tests"]), older["next"]) == (1, None)


def test_a_bad_filter(client: TestClient, lead: dict[str, str]) -> None:
    version = draft(client, lead, COUNTER)
    path = f"/v1/rules/versions/{version}/back-tests"
    refused(client.post(path, json={"limit": 0}, headers=lead), 422, "invalid", "/limit")
    refused(client.post(path, json={"colour": "red"}, headers=lead), 422, "invalid", "/colour")
