from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from api import audit, ingest
from api.store.tables import StoredCandidate, StoredScreening
from api.store.tables_access import AuditEntry
from api.wiring import Service, keeping
from lexicons.load import packaged
from screening.pipeline import Screener
from tests.conftest import TurnedClock, refused
from tests.reviewing import ABUSE, DIVERSION, SHIRKING, chat

Headers = Callable[..., dict[str, str]]
Send = Callable[..., Any]


@pytest.fixture
def send(client: TestClient, as_key: Headers) -> Callable[..., dict[str, Any]]:
    """Keeps a conversation; gives the answer's body."""
    headers = as_key("ingest")

    def sent(*said: str, id_: str = "c/1", **fields: Any) -> dict[str, Any]:
        body = msgspec.json.encode(chat(id_, *said, **fields))
        answer = client.post("/v1/conversations", content=body, headers=headers)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    return sent


class Desk:
    """A reviewer at work."""

    def __init__(self, client: TestClient, headers: dict[str, str]):
        self.client, self.headers = client, headers

    def get(self, path: str, **params: Any) -> Any:
        return self.client.get(f"/v1/review/{path}", headers=self.headers, params=params)

    def post(self, path: str, body: Any) -> Any:
        return self.client.post(f"/v1/review/{path}", json=body, headers=self.headers)

    def claim(self, candidate: int) -> Any:
        return self.client.put(f"/v1/review/candidates/{candidate}/claim", headers=self.headers)

    def decide(self, candidate: int, **body: Any) -> Any:
        return self.post(f"candidates/{candidate}/decisions", body)

    def only(self, **params: Any) -> Any:
        (item,) = self.get("candidates", **params).json()["items"]
        return item


@pytest.fixture
def anna(client: TestClient, as_user: Headers) -> Desk:
    return Desk(client, as_user("reviewer", name="anna"))


@pytest.fixture
def lead(client: TestClient, as_user: Headers) -> Desk:
    return Desk(client, as_user("lead", name="lead"))


def test_from_the_queue_to_a_decision(send: Send, anna: Desk, service: Service, screener: Screener) -> None:
    screening = send(DIVERSION, vendor_id="v1", agent_id="a1")["screening_id"]
    item = anna.post("next", {}).json()["candidate"]
    assert (item["clause"], item["status"], item["assignee"], item["decided"]) == ("A.diversion", "claimed", "anna", None)
    view = anna.get(f"candidates/{item['id']}").json()
    assert [flag["n"] for flag in view["flags"]] == item["flags"] == [0, 1]
    assert view["conversation"]["turns"][1]["text"] == DIVERSION
    flags = [
        {"n": 0, "verdict": "confirmed"},
        {"n": 1, "verdict": "rejected", "reason": "rule_too_wide", "note": "只是比较"},
    ]
    answer = anna.decide(item["id"], screening_id=screening, verdict="confirmed", flags=flags, note="明显")
    assert answer.status_code == 201
    made = answer.json()["decisions"]
    assert [(one["kind"], one["flag"], one["verdict"], one["reason"], one["note"]) for one in made] == [
        ("flag", 0, "confirmed", None, None),
        ("flag", 1, "rejected", "rule_too_wide", "只是比较"),
        ("candidate", None, "confirmed", None, "明显"),
    ]
    with service.store.read() as session:
        versions = session.scalar(select(StoredScreening.versions).where(StoredScreening.id == screening))
    assert {(one["screening_id"], one["versions"], one["user"]) for one in made} == {(screening, versions, "anna")}
    assert anna.get("candidates").json()["items"] == []
    decided = anna.only(status="decided")["decided"]
    expected = {"verdict": "confirmed", "level": "A", "clause": "A.diversion", "severe": False}
    assert decided == {"decision_id": made[-1]["id"], **expected}
    assert anna.get(f"candidates/{item['id']}/history").json()["decisions"] == made
    with service.store.read() as session:
        assert list(audit.verify(session)) == []
        actions = session.scalars(select(AuditEntry.action).order_by(AuditEntry.seq)).all()
    assert actions[-2:] == ["raw_viewed", "decided"]


@pytest.mark.parametrize(
    ("given", "decided"),
    [
        ({"verdict": "rejected", "reason": "quoted"}, ("rejected", None, None, None)),
        ({"verdict": "confirmed", "severe": True}, ("confirmed", "A", "A.attitude", True)),
        ({"verdict": "confirmed", "level": "B"}, ("confirmed", "B", "A.attitude", False)),
        ({"verdict": "confirmed", "clause": "B.attitude"}, ("confirmed", "B", "B.attitude", False)),
        ({"verdict": "confirmed", "clause": "B.attitude", "level": "C"}, ("confirmed", "C", "B.attitude", False)),
    ],
)
def test_verdicts_on_a_candidate(send: Send, anna: Desk, given: dict[str, Any], decided: tuple[Any, ...]) -> None:
    screening = send(ABUSE)["screening_id"]
    anna.claim(1)
    assert anna.decide(1, screening_id=screening, **given).status_code == 201
    item = anna.only(status="decided")
    assert tuple(item["decided"][name] for name in ("verdict", "level", "clause", "severe")) == decided
    assert (item["level"], item["clause"]) == ("A", "A.attitude")  # the machine's own stay


MISFITS: list[tuple[dict[str, Any], str, str]] = [
    ({}, "/verdict", "nothing is decided"),
    ({"verdict": "rejected", "level": "B"}, "/level", "confirmed only"),
    ({"verdict": "confirmed", "reason": "quoted"}, "/reason", "rejected only"),
    ({"verdict": "confirmed", "clause": "Z.nothing"}, "/clause", "no clause 'Z.nothing'"),
    ({"flags": [{"n": 0, "verdict": "rejected"}]}, "/flags/0/reason", "needs a reason"),
    ({"flags": [{"n": 0, "verdict": "unsure", "reason": "quoted"}]}, "/flags/0/reason", "rejected only"),
    ({"flags": [{"n": 9, "verdict": "unsure"}]}, "/flags/0/n", "has no flag 9"),
    ({"flags": [{"n": 0, "verdict": "unsure"}] * 2}, "/flags/1/n", "twice"),
    ({"verdict": "perhaps"}, "/verdict", "confirmed"),
    ({"verdict": "confirmed", "note": "\0"}, "/note", "control character"),
    ({"verdict": "confirmed", "extra": 1}, "/extra", "not permitted"),
    ({"verdict": "confirmed", "screening_id": 99}, "/screening_id", "belongs to screening 1"),
]


def test_a_judgement_that_does_not_fit_is_refused(send: Send, anna: Desk) -> None:
    screening = send(ABUSE)["screening_id"]
    anna.claim(1)
    for given, field, says in MISFITS:
        assert says in refused(anna.decide(1, **{"screening_id": screening} | given), 422, "invalid", field)
    assert anna.only(status="claimed")["decided"] is None
    assert anna.get("candidates/1/history").json()["decisions"] == []


def test_flags_and_notes_alone_leave_the_candidate_undecided(send: Send, anna: Desk) -> None:
    screening = send(ABUSE)["screening_id"]
    anna.claim(1)
    anna.decide(1, screening_id=screening, note="问一下组长")
    anna.decide(1, screening_id=screening, flags=[{"n": 0, "verdict": "unsure"}])
    assert [one["kind"] for one in anna.get("candidates/1/history").json()["decisions"]] == ["note", "flag"]
    assert anna.only(status="claimed")["decided"] is None


def test_deciding_needs_the_claim(send: Send, anna: Desk, lead: Desk, clock: TurnedClock) -> None:
    given = {"screening_id": send(ABUSE)["screening_id"], "verdict": "confirmed"}
    refused(anna.decide(1, **given), 409, "not_claimed")
    lead.claim(1)
    refused(anna.decide(1, **given), 409, "not_claimed")
    refused(anna.claim(1), 409, "claimed")
    clock.turn(seconds=15 * 60)
    refused(lead.decide(1, **given), 409, "claim_expired")
    assert anna.claim(1).status_code == 200
    assert anna.decide(1, **given).status_code == 201
    refused(anna.decide(1, **given), 409, "decided")
    refused(anna.claim(1), 409, "decided")
    refused(anna.client.delete("/v1/review/candidates/1/claim", headers=anna.headers), 409, "decided")


def test_an_outdated_screening_is_a_conflict_that_names_the_newer(send: Send, anna: Desk) -> None:
    first = send(ABUSE)["screening_id"]
    anna.claim(1)
    second = send(ABUSE, SHIRKING)["screening_id"]
    answer = anna.decide(1, screening_id=first, verdict="confirmed")
    assert str(second) in refused(answer, 409, "outdated", "/screening_id")
    assert answer.headers["x-latest-screening"] == str(second)
    refused(anna.claim(1), 409, "outdated", "/screening_id")
    fresh = anna.only(clause="A.attitude")
    assert (fresh["screening_id"], fresh["assignee"]) == (second, "anna")
    anna.claim(fresh["id"])
    refused(anna.decide(fresh["id"], screening_id=first, verdict="confirmed"), 409, "outdated", "/screening_id")
    assert anna.decide(fresh["id"], screening_id=second, verdict="confirmed").status_code == 201


def test_a_person_outranks_later_runs(send: Send, anna: Desk, service: Service, screener: Screener) -> None:
    screening = send(ABUSE)["screening_id"]
    anna.claim(1)
    (made,) = anna.decide(1, screening_id=screening, verdict="rejected", reason="quoted").json()["decisions"]
    with service.store.write() as session:
        before = ingest.in_force(session, ["c/1"])["c/1"]
        work = ingest.Rescreen(
            before.conversation_id, before.revision_id, chat("c/1", ABUSE), screener.screen(chat("c/1", ABUSE))
        )
        (second,) = ingest.rescreened(session, [work], keeping(service), service.clock())
    assert anna.get("candidates").json()["items"] == []
    item = anna.only(status="decided")
    assert (item["screening_id"], item["decided"]["verdict"], item["decided"]["decision_id"]) == (second, "rejected", made["id"])
    history = anna.get(f"candidates/{item['id']}/history").json()["decisions"]
    assert [(one["id"], one["screening_id"]) for one in history] == [(made["id"], screening)]
    (again,) = anna.post(f"decisions/{made['id']}/undo", {}).json()["decisions"]  # what was carried over is undone with it
    assert again["undoes"] == made["id"]
    reopened = anna.only(status="claimed")
    assert (reopened["id"], reopened["decided"]) == (item["id"], None)


def test_undo_is_a_new_decision_and_gives_the_candidate_back(send: Send, anna: Desk, lead: Desk) -> None:
    screening = send(ABUSE)["screening_id"]
    anna.claim(1)
    made = anna.decide(1, screening_id=screening, verdict="rejected", reason="quoted").json()["decisions"][0]["id"]
    (undone,) = anna.post(f"decisions/{made}/undo", {"note": "看错了"}).json()["decisions"]
    assert (undone["kind"], undone["undoes"], undone["note"], undone["screening_id"]) == ("undo", made, "看错了", screening)
    item = anna.only(status="claimed")
    assert (item["assignee"], item["decided"]) == ("anna", None)
    anna.decide(1, screening_id=screening, verdict="confirmed")
    history = anna.get("candidates/1/history").json()["decisions"]
    assert [(one["kind"], one["verdict"], one["undone"]) for one in history] == [
        ("candidate", "rejected", True),
        ("undo", None, False),
        ("candidate", "confirmed", False),
    ]
    refused(anna.post(f"decisions/{made}/undo", {}), 409, "already_undone")
    refused(anna.post(f"decisions/{undone['id']}/undo", {}), 409, "not_undoable")
    refused(anna.post("decisions/99/undo", {}), 404, "not_found")
    assert lead.post(f"decisions/{history[-1]['id']}/undo", {}).status_code == 201
    assert anna.only(status="claimed")["assignee"] == "lead"


def test_only_a_lead_undoes_anothers(send: Send, anna: Desk, client: TestClient, as_user: Headers) -> None:
    screening = send(ABUSE)["screening_id"]
    anna.claim(1)
    made = anna.decide(1, screening_id=screening, verdict="confirmed").json()["decisions"][0]["id"]
    ben = Desk(client, as_user("reviewer", name="ben"))
    assert "only a lead" in refused(ben.post(f"decisions/{made}/undo", {}), 403, "forbidden")


def test_undoing_a_decision_whose_words_are_gone_opens_nothing(send: Send, anna: Desk) -> None:
    screening = send(ABUSE)["screening_id"]
    anna.claim(1)
    made = anna.decide(1, screening_id=screening, verdict="confirmed").json()["decisions"][0]["id"]
    send("您好")
    assert anna.only(status="decided")["id"] == 1  # decided by a person, it stays
    anna.post(f"decisions/{made}/undo", {})
    assert anna.only(status="outdated")["decided"] is None


def test_decisions_are_only_added(send: Send, anna: Desk, service: Service) -> None:
    screening = send(ABUSE)["screening_id"]
    anna.claim(1)
    anna.decide(1, screening_id=screening, verdict="confirmed")
    for statement in ("UPDATE decisions SET verdict = 'rejected'", "DELETE FROM decisions"):
        with pytest.raises(DBAPIError, match="only added"), service.store.write() as session:
            session.execute(text(statement))


MISSED = {
    "conversation_id": "c/1",
    "turn": 1,
    "start": 1,
    "end": 3,
    "quote": "要脸",
    "standard": "jd-zhitongche",
    "clause": "A.attitude",
}


def missed(screening: int, **changes: Any) -> dict[str, Any]:
    return MISSED | {"screening_id": screening, "signal": "rudeness.abuse"} | changes


def test_a_missed_incident_is_reported_and_withdrawn(send: Send, anna: Desk, lead: Desk) -> None:
    screening = send("不要脸🙂")["screening_id"]
    made = anna.post("missed", missed(screening, note="骂人"))
    assert made.status_code == 201
    body = made.json()
    assert (body["level"], body["signal"], body["user"], body["undone"]) == ("A", "rudeness.abuse", "anna", False)
    assert anna.get("conversations/c/1").json()["missed"] == [body]
    refused(anna.post("missed", missed(screening)), 409, "already_reported")
    withdrawn = lead.post(f"missed/{body['id']}/undo", {})
    assert withdrawn.json() == body | {"undone": True}
    refused(anna.post(f"missed/{body['id']}/undo", {}), 409, "already_undone")
    assert anna.post("missed", missed(screening)).status_code == 201
    newer = send("不要脸🙂", "您好")["screening_id"]
    answer = anna.post("missed", missed(screening, start=0, quote="不要脸"))
    assert str(newer) in refused(answer, 409, "outdated", "/screening_id")


WRONG_MARKS: list[tuple[dict[str, Any], str, str]] = [
    ({"quote": "要命"}, "quote_mismatch", "/quote"),
    ({"turn": 2}, "invalid", "/turn"),
    ({"turn": -1}, "invalid", "/turn"),
    ({"end": 5}, "invalid", "/end"),
    ({"end": 1}, "invalid", "/end"),
    ({"standard": "none"}, "invalid", "/standard"),
    ({"clause": "A.none"}, "invalid", "/clause"),
    ({"signal": None}, "invalid", "/signal"),
    ({"signal": "shirking"}, "invalid", "/signal"),
    ({"screening_id": 99}, "invalid", "/screening_id"),
]


def test_a_marking_that_does_not_fit_is_refused(send: Send, anna: Desk) -> None:
    screening = send("不要脸🙂")["screening_id"]
    for changes, code, field in WRONG_MARKS:
        refused(anna.post("missed", missed(screening) | changes), 422, code, field)
    assert anna.get("conversations/c/1").json()["missed"] == []


def test_a_clause_with_one_signal_or_none_needs_no_word_on_it(send: Send, anna: Desk) -> None:
    screening = send("不要脸🙂")["screening_id"]
    clauses = packaged().standards["jd-zhitongche"].clauses
    one = next(clause for clause in clauses if len(clause.signals) == 1)
    none = next(clause for clause in clauses if not clause.signals)
    assert anna.post("missed", missed(screening, clause=one.id, signal=None)).json()["signal"] == one.signals[0]
    assert anna.post("missed", missed(screening, clause=none.id, signal=None)).json()["signal"] is None


def test_the_view_shows_what_came_before(send: Send, anna: Desk) -> None:
    before = send(ABUSE, id_="c/0", customer_id="u1", agent_id="a1", hours=0)["screening_id"]
    send("您好", id_="c/2", customer_id="u2", agent_id="a1", hours=1)
    send(SHIRKING, id_="c/1", customer_id="u1", agent_id="a1", hours=2)
    send("您好", id_="c/3", customer_id="u1", agent_id="a1", hours=3)
    anna.claim(1)
    anna.decide(1, screening_id=before, verdict="confirmed", severe=True)
    view = anna.get("conversations/c/1").json()
    earlier = [(one["conversation_id"], one["level"], one["confirmed"]) for one in view["previous_of_customer"]]
    assert earlier == [("c/0", "A", ["A.attitude"])]
    assert [one["conversation_id"] for one in view["previous_of_agent"]] == ["c/2", "c/0"]
    assert (view["screening_id"], view["latest_screening_id"], view["texts"]) == (3, 3, "raw")
    assert anna.get("conversations/c/1", masked=True).json()["texts"] == "masked"


def test_a_candidate_of_an_earlier_screening_is_shown_as_it_was(send: Send, anna: Desk, service: Service) -> None:
    first = send(ABUSE)["screening_id"]
    second = send(SHIRKING)["screening_id"]
    view = anna.get("candidates/1").json()
    assert (view["screening_id"], view["latest_screening_id"]) == (first, second)
    assert view["conversation"]["turns"][1]["text"] == ABUSE
    with service.store.read() as session:
        assert session.get_one(StoredCandidate, 1).status == "outdated"
