import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from api.access import Principal
from api.clock import SECOND
from api.errors import ApiError
from api.review import claims
from api.review.claims import Share
from api.review.filters import Filters
from api.store.engine import Store
from api.store.tables import CandidateSignal, StoredCandidate
from screening.pipeline import Screener
from tests.reviewing import ABUSE, DIVERSION, SHIRKING, chat, kept, person

NOW = 1_772_500_000_000_000
MINUTES = 15
ALL = Filters()
LATER = NOW + MINUTES * 60 * SECOND


@pytest.fixture
def filled(store: Store, screener: Screener) -> Store:
    """30 conversations with one candidate each."""
    kept(store, screener, [chat(f"c{i}", (DIVERSION, ABUSE, SHIRKING)[i % 3], vendor_id=f"v{i % 2}") for i in range(30)])
    return store


def take(store: Store, who: Principal, filters: Filters = ALL, now: int = NOW) -> StoredCandidate | None:
    with store.write() as session:
        return claims.claim_next(session, who, filters, now=now, minutes=MINUTES)


def claim(store: Store, who: Principal, candidate: int, now: int = NOW) -> StoredCandidate:
    with store.write() as session:
        return claims.claim(session, who, candidate, now=now, minutes=MINUTES)


def state(store: Store, candidate: int) -> tuple[str, int | None, int | None]:
    with store.read() as session:
        row = session.get_one(StoredCandidate, candidate)
        return row.status, row.assignee_id, row.claimed_until


def test_the_next_is_the_first_of_the_queue_and_held_for_a_time(filled: Store) -> None:
    anna = person(filled, "anna")
    with filled.read() as session:
        order = select(StoredCandidate.id).order_by(StoredCandidate.priority.desc(), StoredCandidate.id.desc())
        ids = session.scalars(order).all()
    got = [take(filled, anna) for _ in range(3)]
    assert [one.id for one in got if one] == ids[:3]
    assert state(filled, ids[0]) == ("claimed", anna.user_id, LATER)
    with filled.read() as session:
        assert session.scalar(select(CandidateSignal.status).where(CandidateSignal.candidate_id == ids[0])) == "claimed"


def test_the_next_keeps_to_the_filters_and_ends(filled: Store) -> None:
    anna = person(filled, "anna")
    wanted = Filters(clause="B.shirking", vendor_id="v1", words="不归我管")
    got = [take(filled, anna, wanted) for _ in range(6)]
    assert [(one.clause, one.vendor_id) for one in got if one] == [("B.shirking", "v1")] * 5
    assert got[5] is None


def test_what_is_assigned_to_oneself_comes_first_and_to_others_never(filled: Store) -> None:
    anna, ben = person(filled, "anna"), person(filled, "ben")
    with filled.write() as session:
        last = session.scalars(select(StoredCandidate).order_by(StoredCandidate.priority, StoredCandidate.id).limit(2)).all()
        last[0].assignee_id, last[1].assignee_id = anna.user_id, ben.user_id
    first = take(filled, anna)
    assert first is not None and first.id == last[0].id
    taken = [one.id for one in iter(lambda: take(filled, anna), None)]
    assert len(taken) == 28
    assert last[1].id not in taken


def test_a_chosen_one_is_claimed_renewed_and_released(filled: Store) -> None:
    anna, ben = person(filled, "anna"), person(filled, "ben")
    claim(filled, anna, 5)
    with pytest.raises(ApiError, match="held by anna until 2026-") as held:
        claim(filled, ben, 5)
    assert (held.value.status_code, held.value.code) == (409, "claimed")
    claim(filled, anna, 5, now=NOW + 60 * SECOND)
    assert state(filled, 5) == ("claimed", anna.user_id, LATER + 60 * SECOND)
    with filled.write() as session, pytest.raises(ApiError, match="with anna, not with you"):
        claims.release(session, ben, 5)
    with filled.write() as session:
        claims.release(session, anna, 5)
    assert state(filled, 5) == ("open", None, None)
    with filled.write() as session, pytest.raises(ApiError, match="with nobody"):
        claims.release(session, anna, 5)
    claim(filled, ben, 5)


def test_a_claim_ends_with_its_time(filled: Store) -> None:
    anna, ben = person(filled, "anna"), person(filled, "ben")
    claim(filled, anna, 5)
    claim(filled, anna, 6)
    claims.free_expired(filled, LATER - 1, MINUTES)
    assert state(filled, 5)[0] == "claimed"
    claim(filled, ben, 6, now=LATER)  # without waiting for the sweep
    claims.free_expired(filled, LATER, MINUTES)
    assert state(filled, 5) == ("open", None, None)
    assert state(filled, 6) == ("claimed", ben.user_id, LATER + MINUTES * 60 * SECOND)


def test_a_clock_set_back_keeps_no_claim_longer_than_one_lasts(filled: Store) -> None:
    anna, ben = person(filled, "anna"), person(filled, "ben")
    claim(filled, anna, 5)
    claim(filled, anna, 6)
    back = NOW - 86_400 * SECOND
    claims.free_expired(filled, NOW - 60 * SECOND, MINUTES)
    with pytest.raises(ApiError, match="held by anna"):  # a small step changes nothing
        claim(filled, ben, 5, now=NOW - 60 * SECOND)
    claim(filled, ben, 5, now=back)
    claims.free_expired(filled, back, MINUTES)
    assert state(filled, 5) == ("claimed", ben.user_id, back + MINUTES * 60 * SECOND)
    assert state(filled, 6) == ("open", None, None)
    claims.free_expired(filled, NOW, MINUTES)  # and put right again
    assert state(filled, 5) == ("open", None, None)


def test_a_lead_may_take_what_is_assigned_and_release_what_is_held(filled: Store) -> None:
    anna, ben, lead = person(filled, "anna"), person(filled, "ben"), person(filled, "lead", "lead")
    with filled.write() as session:
        session.get_one(StoredCandidate, 5).assignee_id = anna.user_id
    with pytest.raises(ApiError, match="assigned to anna"):
        claim(filled, ben, 5)
    claim(filled, lead, 5)
    claim(filled, ben, 6)
    with pytest.raises(ApiError, match="held by ben"):
        claim(filled, lead, 6)
    with filled.write() as session:
        claims.release(session, lead, 6)
    claim(filled, lead, 6)


def test_nobody_claims_what_is_not_there_or_another_vendors(filled: Store) -> None:
    anna = person(filled, "anna")
    with pytest.raises(ApiError, match="no candidate 999") as missing:
        claim(filled, anna, 999)
    assert missing.value.status_code == 404
    with filled.read() as session:
        foreign = session.scalar(select(StoredCandidate.id).where(StoredCandidate.vendor_id == "v0").limit(1))
    assert foreign
    with pytest.raises(ApiError, match="no candidate"):
        claim(filled, anna._replace(vendor_id="v1"), foreign)
    with pytest.raises(ApiError, match="only people review"):
        claim(filled, anna._replace(user_id=None), 5)


def race(store: Store, people: list[Principal], one: int | None) -> list[tuple[int, int]]:
    """Everybody claims at once, from stores of their own, until nothing is left: (user, candidate) of each success."""
    stores = [Store(store.url) for _ in people]
    together = threading.Barrier(len(people))

    def work(own: Store, who: Principal) -> list[tuple[int, int]]:
        together.wait()
        got: list[tuple[int, int]] = []
        while True:
            try:
                found = take(own, who) if one is None else claim(own, who, one)
            except ApiError as error:
                assert error.code == "claimed"
                return got
            if found is None:
                return got
            got.append((who.user_id or 0, found.id))
            if one is not None:
                return got

    with ThreadPoolExecutor(len(people)) as pool:
        results = [pool.submit(work, own, who) for own, who in zip(stores, people, strict=True)]
        done = [pair for result in results for pair in result.result()]
    for own in stores:
        own.close()
    return done


def test_two_reviewers_never_hold_one_item(filled: Store) -> None:
    people = [person(filled, f"r{i}") for i in range(4)]
    won = race(filled, people, None)
    assert sorted(candidate for _, candidate in won) == list(range(1, 31))
    with filled.read() as session:
        held = {
            row.id: row.assignee_id for row in session.scalars(select(StoredCandidate).where(StoredCandidate.status == "claimed"))
        }
    assert held == {candidate: user for user, candidate in won}


def test_one_of_many_gets_a_chosen_item(filled: Store) -> None:
    people = [person(filled, f"r{i}") for i in range(4)]
    for candidate in range(1, 9):
        ((user, _),) = race(filled, people, candidate)
        assert state(filled, candidate)[:2] == ("claimed", user)


def counts(store: Store) -> dict[int | None, int]:
    with store.read() as session:
        rows = session.execute(select(StoredCandidate.assignee_id, func.count()).group_by(StoredCandidate.assignee_id))
        return {row[0]: row[1] for row in rows}


def test_work_is_dealt_in_turn(filled: Store) -> None:
    lead, anna, ben = person(filled, "lead", "lead"), person(filled, "anna"), person(filled, "ben")
    with filled.write() as session:
        assert claims.assign(session, lead, ALL, [Share("anna"), Share("ben")], limit=7) == {"anna": 4, "ben": 3}
    assert counts(filled) == {None: 23, anna.user_id: 4, ben.user_id: 3}
    with filled.read() as session:
        order = select(StoredCandidate.assignee_id).order_by(StoredCandidate.priority.desc(), StoredCandidate.id.desc())
        assert session.scalars(order.limit(8)).all() == [anna.user_id, ben.user_id] * 3 + [anna.user_id, None]
    with filled.write() as session:  # what is assigned stays so
        given = claims.assign(session, lead, ALL, [Share("ben")], limit=100)
    assert given == {"ben": 23}
    assert counts(filled) == {anna.user_id: 4, ben.user_id: 26}


def test_work_is_dealt_by_percentage_along_the_whole_queue(filled: Store) -> None:
    lead, anna, ben = person(filled, "lead", "lead"), person(filled, "anna"), person(filled, "ben")
    with filled.write() as session:
        given = claims.assign(session, lead, ALL, [Share("anna", 50), Share("ben", 30)], limit=20)
    assert given == {"anna": 10, "ben": 6}
    assert counts(filled) == {None: 14, anna.user_id: 10, ben.user_id: 6}
    with filled.read() as session:
        order = select(StoredCandidate.assignee_id).order_by(StoredCandidate.priority.desc(), StoredCandidate.id.desc())
        first = session.scalars(order.limit(10)).all()
    assert (first.count(anna.user_id), first.count(ben.user_id), first.count(None)) == (5, 3, 2)


@pytest.mark.parametrize("name", ["nobody-here", "desk"])
def test_only_reviewers_get_work(filled: Store, name: str) -> None:
    lead = person(filled, "lead", "lead")
    person(filled, "desk", "agent_desk")
    with filled.write() as session, pytest.raises(ApiError, match="no active user who may review") as refused:
        claims.assign(session, lead, ALL, [Share("lead"), Share(name)], limit=5)
    assert refused.value.field == "/to/1/user"
    with filled.write() as session, pytest.raises(ApiError, match="named twice"):
        claims.assign(session, lead, ALL, [Share("lead"), Share("lead")], limit=5)
