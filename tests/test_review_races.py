"""A decision and a new screening of the same conversation at the same moment: one comes first, and neither loses the other."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from api import ingest
from api.access import Principal
from api.errors import ApiError
from api.review import claims, decisions
from api.review.decisions import Judgement
from api.store.engine import Store
from api.store.tables import StoredCandidate, StoredScreening
from api.store.tables_review import Decision
from lexicons.load import packaged
from screening.pipeline import Screener
from screening.types import Screening
from tests.reviewing import ABUSE, KEEPING, chat, kept, person

ROUNDS = 8


def test_a_decision_and_a_new_screening(store: Store, screener: Screener) -> None:
    anna = person(store, "anna")
    kept(store, screener, [chat(f"c{i}", ABUSE) for i in range(ROUNDS)])
    screening = screener.screen(chat("c0", ABUSE))
    with store.read() as session:
        rows = {row.conversation_id: (row.id, row.screening_id) for row in session.scalars(select(StoredCandidate))}
    for i in range(ROUNDS):
        with store.read() as session:
            before = ingest.in_force(session, [f"c{i}"])[f"c{i}"]
        candidate, seen = rows[before.conversation_id]
        with store.write() as session:
            claims.claim(session, anna, candidate, now=1, minutes=5)
        other = Store(store.url)
        together = threading.Barrier(2)
        with ThreadPoolExecutor(2) as pool:
            one = pool.submit(_decide, store, together, anna, candidate, seen)
            two = pool.submit(_rescreen, other, together, before, i, screening)
            newer, won = two.result(), one.result()
        other.close()
        with store.read() as session:
            (fresh,) = session.scalars(select(StoredCandidate).where(StoredCandidate.screening_id == newer))
            made = session.scalars(select(Decision).where(Decision.candidate_id == candidate)).all()
            assert session.get_one(StoredCandidate, candidate).status == "outdated"
            assert session.get_one(StoredScreening, newer).latest
        if won:
            assert (fresh.status, fresh.decided_verdict, fresh.decision_id) == ("decided", "rejected", made[0].id)
            assert [decision.screening_id for decision in made] == [seen]
        else:
            assert (fresh.status, fresh.assignee_id, made) == ("open", anna.user_id, [])


def _decide(store: Store, together: threading.Barrier, anna: Principal, candidate: int, seen: int) -> bool:
    together.wait()
    try:
        with store.write() as session:
            judgement = Judgement(seen, verdict="rejected", reason="quoted")
            decisions.decide(session, anna, candidate, judgement, packaged().standards, 2)
        return True
    except ApiError as error:
        assert error.code == "outdated"
        return False


def _rescreen(store: Store, together: threading.Barrier, before: ingest.InForce, i: int, screening: Screening) -> int:
    together.wait()
    work = ingest.Rescreen(before.conversation_id, before.revision_id, chat(f"c{i}", ABUSE), screening)
    with store.write() as session:
        (made,) = ingest.rescreened(session, [work], KEEPING, 2)
    assert made is not None
    return made


def test_one_of_two_undos(store: Store, screener: Screener) -> None:
    anna = person(store, "anna")
    kept(store, screener, [chat("c", ABUSE)])
    with store.write() as session:
        candidate = claims.claim(session, anna, 1, now=1, minutes=5)
        judgement = Judgement(candidate.screening_id, verdict="confirmed")
        (made,) = decisions.decide(session, anna, 1, judgement, packaged().standards, 1)
        decision = made.id
    together = threading.Barrier(2)

    def undo(own: Store) -> str:
        together.wait()
        try:
            with own.write() as session:
                decisions.undo(session, anna, decision, None, now=2, minutes=5)
            return "undone"
        except ApiError as error:
            return error.code

    other = Store(store.url)
    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(undo, (store, other))) == ["already_undone", "undone"]
    other.close()
    with pytest.raises(ApiError, match="undone already"), store.write() as session:
        decisions.undo(session, anna, decision, None, now=3, minutes=5)
