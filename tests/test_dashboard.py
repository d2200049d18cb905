"""Statistics of a period, computed by hand, on both databases; the endpoints over them."""

from collections.abc import Callable
from datetime import date, timedelta

import msgspec
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from api import measures
from api.access import ACTIONS, Principal
from api.clock import from_datetime
from api.statistics import chosen, incidents, service
from api.statistics.chosen import Chosen
from api.store.engine import Store
from api.store.tables import StoredCandidate
from api.store.tables_measures import Measures
from screening import profile as profiles
from screening.pipeline import Screener
from screening.types import Conversation, Turn
from tests.conftest import SHANGHAI, START, refused
from tests.reviewing import ABUSE, BEGIN, DIVERSION, SHIRKING, chat, kept

Headers = Callable[..., dict[str, str]]
LEAD = Principal("user:lead", 1, "lead", ACTIONS["lead"], None)
OF_V2 = LEAD._replace(vendor_id="v2")
NONE = {"A": 0, "B": 0, "C": 0}
PERIOD = Chosen(from_datetime(BEGIN - timedelta(days=1)), from_datetime(BEGIN + timedelta(days=3)))


def timed(id_: str, *gaps: float, **fields: object) -> Conversation:
    """A customer asks and is answered after so many seconds, again and again."""
    turns: list[Turn] = []
    at = START
    for gap in gaps:
        turns.append(Turn("customer", "什么时候发货", at=at))
        at += timedelta(seconds=gap)
        turns.append(Turn("agent", "您好，今天发出", at=at))
        at += timedelta(seconds=1)
    return Conversation(id=id_, turns=tuple(turns), started_at=START, **fields)


@pytest.fixture
def filled(store: Store, screener: Screener) -> Store:
    """In Shanghai: Monday 8:00 (v1/a1, v1/a2), Tuesday 4:00 (v2/a1), Tuesday 10:00 (v2/a3, rejected)."""
    work = [
        chat("c1", ABUSE, vendor_id="v1", agent_id="a1"),
        chat("c2", DIVERSION, vendor_id="v1", agent_id="a2", channel="phone"),
        chat("c3", SHIRKING, hours=20, vendor_id="v2", agent_id="a1"),
        chat("c4", ABUSE, hours=26, vendor_id="v2", agent_id="a3"),
    ]
    kept(store, screener, work)
    with store.write() as session:
        change = update(StoredCandidate).where(StoredCandidate.agent_id == "a3")
        session.execute(change.values(status="decided", decided_verdict="rejected"))
        change = update(StoredCandidate).where(StoredCandidate.agent_id == "a2")
        session.execute(change.values(status="decided", decided_verdict="confirmed", decided_level="B"))
    return store


def count(store: Store, principal: Principal = LEAD, **narrowed: object) -> incidents.Incidents:
    with store.read() as session:
        return incidents.count(session, PERIOD._replace(**narrowed), principal, SHANGHAI)


def test_incidents_by_day_hour_clause_vendor_agent(filled: Store) -> None:
    found = count(filled)
    assert found.total == 3
    assert [day for day, _ in found.days] == [date(2026, 3, 1) + timedelta(days=i) for i in range(5)]
    by_day = {day.day: levels for day, levels in found.days if sum(levels.values())}
    assert by_day == {2: NONE | {"A": 1, "B": 1}, 3: NONE | {"B": 1}}  # what a person said outranks the machine's level
    cells = {(day, hour): n for day, row in enumerate(found.hours) for hour, n in enumerate(row) if n}
    assert cells == {(0, 8): 2, (1, 4): 1}
    assert [(bar.standard, bar.name, bar.total) for bar in found.clauses] == [
        ("jd-zhitongche", "A.attitude", 1),
        ("jd-zhitongche", "A.diversion", 1),
        ("jd-zhitongche", "B.shirking", 1),
    ]
    assert [(bar.name, bar.levels) for bar in found.vendors] == [
        ("v1", NONE | {"A": 1, "B": 1}),
        ("v2", NONE | {"B": 1}),
    ]
    assert [(bar.name, bar.total) for bar in found.agents] == [("a1", 2), ("a2", 1)]
    assert found.agent_count == 2


def test_narrowed_and_scoped(filled: Store) -> None:
    assert [count(filled, state=state).total for state in ("found", "confirmed", "waiting")] == [3, 1, 2]
    assert [count(filled, channel="phone").total, count(filled, agent_id="a1").total, count(filled, vendor_id="v9").total] == [
        1,
        2,
        0,
    ]
    assert [bar.name for bar in count(filled, OF_V2).vendors] == ["v2"]
    assert count(filled, OF_V2, vendor_id="v1").total == 0
    assert count(filled, end=from_datetime(BEGIN + timedelta(hours=20))).total == 2  # half-open


def test_figures_of_a_conversation() -> None:
    attributes = {"rating": "满意", "solved": "是", "answered": False, "queue_seconds": 4}
    assert measures.of(timed("c", 10, 30, attributes=attributes), SHANGHAI) == ("satisfied", True, False, 4.0, 10.0, 20.0)
    assert measures.of(chat("c", ABUSE), SHANGHAI) == (None,) * 6
    bot = Conversation(
        id="c",
        turns=(
            Turn("customer", "在吗", at=START),
            Turn("bot", "您好", at=START + timedelta(seconds=1)),
            Turn("system", "已接入人工"),
            Turn("agent", "您好", at=START + timedelta(seconds=9)),
        ),
    )
    assert measures.of(bot, SHANGHAI)[4:] == (9.0, 9.0)
    unordered = Conversation(
        id="c", turns=(Turn("customer", "在吗", at=START), Turn("agent", "在", at=START - timedelta(seconds=1)))
    )
    assert measures.of(unordered, SHANGHAI)[4:] == (None, None)


def test_response_times_and_rates(store: Store, screener: Screener) -> None:
    work = [
        timed("c1", 4, vendor_id="v1", attributes={"rating": "satisfied", "solved": True}),
        timed("c2", 60, vendor_id="v1", attributes={"rating": "dissatisfied", "solved": False}),
        timed("c3", 61, 1, vendor_id="v2", attributes={"rating": "satisfied"}),
        timed("c4", 3, channel="phone", attributes={"answered": True}),
        chat("c5", "您好", hours=2, channel="phone", vendor_id="v2"),
    ]
    kept(store, screener, work)
    limits = dict(profiles.limits(screener.profile, screener.lexicon)) | {
        ("response.slow_first", "online"): (profiles.Limit(60, "tencent-zhongchuang", frozenset()),)
    }
    with store.read() as session:
        first, phone, mean, _ = service.responses(session, PERIOD, LEAD, limits)
        rates = service.rates(session, PERIOD, LEAD, screener.lexicon)
        scoped = service.rates(session, PERIOD, OF_V2, screener.lexicon)
        last = chosen.latest(session, LEAD)
    assert (first.signal, first.channel, first.total) == ("response.slow_first", "online", 3)
    assert dict(zip(service.EDGES, first.counts, strict=True)) == dict.fromkeys(service.EDGES, 0) | {0: 1, 60: 2}
    assert (first.limits, first.over) == ([(60, "tencent-zhongchuang")], [1])
    assert (phone.channel, phone.total) == ("phone", 1)
    assert dict(zip(service.EDGES, mean.counts, strict=True)) == dict.fromkeys(service.EDGES, 0) | {0: 1, 30: 1, 60: 1}
    assert [(one.measure, one.channel, one.target, one.hits, one.total) for one in rates] == [
        ("satisfied", "phone", 97, 0, 0),
        ("satisfied", "online", 97, 2, 3),
        ("satisfied", None, 90, 2, 3),
        ("answered", "phone", 95, 1, 1),
        ("solved", None, 95, 1, 2),
    ]
    assert [(one.hits, one.total) for one in scoped] == [(0, 0), (1, 1), (1, 1), (0, 0), (0, 0)]
    assert last == from_datetime(START)


def test_figures_follow_the_revision_in_force(store: Store, screener: Screener) -> None:
    kept(store, screener, [timed("c1", 4, attributes={"rating": "satisfied"})])
    kept(store, screener, [timed("c1", 8, attributes={"rating": "neutral"})])
    with store.read() as session:
        assert [(row.rating, row.first_seconds) for row in session.scalars(select(Measures))] == [("neutral", 8.0)]


def test_the_endpoints(client: TestClient, as_user: Headers, as_key: Headers) -> None:
    key = as_key("ingest")
    for one in (chat("c1", ABUSE, vendor_id="v1", agent_id="a1"), timed("c2", 25, attributes={"rating": "satisfied"})):
        assert client.post("/v1/conversations", content=msgspec.json.encode(one), headers=key).status_code == 201
    reviewer = as_user("reviewer")
    query = {"since": "2026-03-01", "until": "2026-03-02"}
    found = client.get("/v1/statistics/incidents", params=query, headers=reviewer).json()
    assert (found["total"], found["since"], found["until"]) == (1, "2026-02-28T16:00:00Z", "2026-03-02T16:00:00Z")
    assert [(one["title"], one["levels"]["A"]) for one in found["clauses"]] == [("态度恶劣", 1)]
    levels = client.get("/v1/statistics/service", params=query, headers=reviewer).json()
    assert [(one["measure"], one["hits"], one["total"]) for one in levels["rates"] if one["total"]] == [("satisfied", 1, 1)] * 2
    assert levels["responses"][0]["counts"][3] == 1
    for path in ("incidents", "service"):
        refused(client.get(f"/v1/statistics/{path}", params=query, headers=as_user("vendor", vendor="v1")), 403, "forbidden")
        for bad, field in (
            ({"since": "2026-03-03", "until": "2026-03-02"}, "/until"),
            ({"since": "2020-01-01", "until": "2026-03-02"}, "/since"),
            ({"since": "0001-01-01", "until": "2026-03-02"}, "/since"),
        ):
            refused(client.get(f"/v1/statistics/{path}", params=bad, headers=reviewer), 422, "invalid", field)
