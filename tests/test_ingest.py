import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from zoneinfo import ZoneInfo

import msgspec
import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from api import ingest
from api.ingest import Rescreen
from api.results import Keeping
from api.settings import Settings
from api.store import search
from api.store.bodies import Bodies
from api.store.engine import Store
from api.store.tables import (
    CandidateSignal,
    Revision,
    StoredCandidate,
    StoredConversation,
    StoredFlag,
    StoredScreening,
    VersionSet,
)
from screening.pipeline import Screener
from screening.replay import encode
from screening.types import Conversation, Screening, Turn

RUDE = Conversation("c-1", (Turn("customer", "在吗"), Turn("agent", "你是傻逼吗，加我微信")), vendor_id="v1", agent_id="a1")
CLEAN = Conversation("c-2", (Turn("customer", "在吗"), Turn("agent", "您好，在的")))


@pytest.fixture
def keeping() -> Keeping:
    return Keeping(Bodies(), Settings(demo=True), ZoneInfo("Asia/Shanghai"))


def keep(store: Store, screener: Screener, keeping: Keeping, *conversations: Conversation, at: int = 1) -> list[ingest.Stored]:
    with store.write() as session:
        work = zip(conversations, screener.screen_many(conversations), strict=True)
        return ingest.keep(session, work, keeping, at)


def candidates(store: Store) -> list[StoredCandidate]:
    with store.read() as session:
        return list(session.scalars(select(StoredCandidate).order_by(StoredCandidate.id)))


def counts(store: Store) -> dict[str, int]:
    tables = (StoredConversation, Revision, StoredScreening, VersionSet)
    with store.read() as session:
        return {table.__tablename__: session.scalar(select(func.count()).select_from(table)) or 0 for table in tables}


def test_everything_of_a_screening_is_kept(
    store: Store, screener: Screener, keeping: Keeping, archive: Sequence[Conversation]
) -> None:
    screenings = list(screener.screen_many(archive))
    stored = keep(store, screener, keeping, *archive, at=7)
    assert [(one.external_id, one.revision, one.outcome) for one in stored] == [(c.id, 1, "created") for c in archive]
    assert counts(store) == {"conversations": 96, "revisions": 96, "screenings": 96, "version_sets": 1}
    with store.read() as session:
        bodies = session.execute(
            select(StoredConversation.external_id, Revision.body, StoredScreening)
            .join(Revision, Revision.conversation_id == StoredConversation.id)
            .join(StoredScreening, StoredScreening.revision_id == Revision.id)
            .order_by(StoredConversation.id)
        ).all()
        for (name, body, run), conversation, screening in zip(bodies, archive, screenings, strict=True):
            assert name == conversation.id
            assert msgspec.json.decode(keeping.bodies.unpack(body), type=Conversation) == conversation
            assert keeping.bodies.unpack(run.body) == encode(screening)
            assert (run.latest, run.cause, run.level, run.incomplete) == (True, "ingest", screening.level, not screening.complete)
        flags = session.execute(select(StoredFlag.screening_id, StoredFlag.n, StoredFlag.signal).order_by(StoredFlag.id)).all()
        ids = {run.id: screening for (_, _, run), screening in zip(bodies, screenings, strict=True)}
        assert list(map(tuple, flags)) == [(i, n, f.signal) for i, s in ids.items() for n, f in enumerate(s.flags)]
        for row in session.scalars(select(StoredCandidate)):
            candidate = ids[row.screening_id].candidates[row.n]
            assert (row.clause, row.level, row.score) == (candidate.clause, candidate.level, candidate.score)
            assert json.loads(row.flags) == list(candidate.flags)
            weight = {"A": 100, "B": 10, "C": 1}[row.level]
            assert row.priority == pytest.approx(weight * row.score + 4 * row.score * (1 - row.score))
            names = set(session.scalars(select(CandidateSignal.signal).where(CandidateSignal.candidate_id == row.id)))
            assert names == {ids[row.screening_id].flags[i].signal for i in candidate.flags}
        assert session.scalar(select(func.count()).select_from(StoredCandidate)) == sum(len(s.candidates) for s in screenings)
        assert len(set(session.scalars(search.revisions(session, "滚筒")))) >= 1


def test_the_same_again_changes_nothing(store: Store, screener: Screener, keeping: Keeping) -> None:
    (first,) = keep(store, screener, keeping, RUDE)
    (again,) = keep(store, screener, keeping, msgspec.json.decode(msgspec.json.encode(RUDE), type=Conversation), at=2)
    assert again == first._replace(outcome="unchanged")
    assert counts(store)["screenings"] == 1


def test_other_content_is_a_new_revision_and_the_old_stays(store: Store, screener: Screener, keeping: Keeping) -> None:
    keep(store, screener, keeping, RUDE)
    other = msgspec.structs.replace(RUDE, turns=(*RUDE.turns, Turn("customer", "我要投诉")), agent_id="a2")
    (stored,) = keep(store, screener, keeping, other, at=2)
    assert (stored.revision, stored.outcome) == (2, "revised")
    assert counts(store) == {"conversations": 1, "revisions": 2, "screenings": 2, "version_sets": 1}
    with store.read() as session:
        row = session.scalars(select(StoredConversation)).one()
        assert (row.revision, row.agent_id, row.updated_at, row.created_at) == (2, "a2", 2, 1)
        assert session.scalars(select(StoredScreening.latest).order_by(StoredScreening.id)).all() == [False, True]
    old, new = candidates(store)[:2], candidates(store)[2:]
    assert {one.status for one in old} == {"outdated"}
    assert {one.status for one in new} == {"open"}


def test_an_id_that_comes_twice_in_one_go_is_kept_in_order(store: Store, screener: Screener, keeping: Keeping) -> None:
    other = msgspec.structs.replace(RUDE, agent_id="a2")
    stored = keep(store, screener, keeping, RUDE, CLEAN, other, other, RUDE)
    assert [(one.external_id, one.revision, one.outcome) for one in stored] == [
        ("c-1", 1, "created"),
        ("c-2", 1, "created"),
        ("c-1", 2, "revised"),
        ("c-1", 2, "unchanged"),
        ("c-1", 3, "revised"),
    ]


def decide(store: Store, clause: str) -> StoredCandidate:
    with store.write() as session:
        row = session.scalars(
            select(StoredCandidate).where(StoredCandidate.clause == clause, StoredCandidate.status == "open")
        ).one()
        row.status, row.decision_id, row.decided_verdict, row.decided_level = "decided", 41, "confirmed", "B"
        return row


def rescreen(store: Store, screener: Screener, keeping: Keeping, change: object = None) -> list[int | None]:
    with store.write() as session:
        entry = ingest.in_force(session, ["c-1"])["c-1"]
        screening = screener.screen(RUDE)
        assert isinstance(screening, Screening)
        if callable(change):
            screening = change(screening)
        return ingest.rescreened(session, [Rescreen(entry.conversation_id, entry.revision_id, RUDE, screening)], keeping, 9)


def test_a_person_outranks_a_later_run(store: Store, screener: Screener, keeping: Keeping) -> None:
    keep(store, screener, keeping, RUDE)
    decided = decide(store, "A.diversion")
    (screening,) = rescreen(store, screener, keeping)
    new = [one for one in candidates(store) if one.screening_id == screening]
    (carried,) = [one for one in new if one.clause == "A.diversion"]
    assert (carried.status, carried.decision_id, carried.decided_verdict, carried.decided_level, carried.level) == (
        *("decided", 41, "confirmed", "B", "A"),
    )
    assert {one.status for one in new if one.clause != "A.diversion"} == {"open"}
    with store.read() as session:
        assert session.get_one(StoredCandidate, decided.id).status == "outdated"  # its place is taken by the new one


def test_a_decision_stands_where_the_later_run_finds_nothing(store: Store, screener: Screener, keeping: Keeping) -> None:
    keep(store, screener, keeping, RUDE)
    decided = decide(store, "A.diversion")
    rescreen(store, screener, keeping, lambda s: msgspec.structs.replace(s, flags=(), candidates=(), level=None))
    with store.read() as session:
        assert session.get_one(StoredCandidate, decided.id).status == "decided"


def test_other_words_on_the_turn_are_judged_anew(store: Store, screener: Screener, keeping: Keeping) -> None:
    keep(store, screener, keeping, RUDE)
    decide(store, "A.diversion")
    other = msgspec.structs.replace(RUDE, turns=(RUDE.turns[0], Turn("agent", "你是傻逼吗，加我微信吧亲")))
    keep(store, screener, keeping, other)
    assert [one.status for one in candidates(store) if one.clause == "A.diversion"] == ["decided", "open"]


def test_a_screening_of_a_revision_no_longer_in_force_is_dropped(store: Store, screener: Screener, keeping: Keeping) -> None:
    keep(store, screener, keeping, RUDE)
    with store.read() as session:
        old = ingest.in_force(session, ["c-1"])["c-1"]
    keep(store, screener, keeping, msgspec.structs.replace(RUDE, agent_id="a9"))
    with store.write() as session:
        stale = Rescreen(old.conversation_id, old.revision_id, RUDE, screener.screen(RUDE))
        assert ingest.rescreened(session, [stale], keeping, 3) == [None]
    assert counts(store)["screenings"] == 2


def test_writers_at_once_keep_each_conversation_once(store: Store, screener: Screener, keeping: Keeping) -> None:
    items = [msgspec.structs.replace(RUDE, id=f"c-{i}") for i in range(40)]
    work = list(zip(items, screener.screen_many(items), strict=True))

    def write(shift: int) -> list[str]:
        turned = work[shift:] + work[:shift]
        stored = ingest.retried(store, lambda session: ingest.keep(session, turned, keeping, 1))
        return [one.outcome for one in stored]

    with ThreadPoolExecutor(4) as pool:
        outcomes = [outcome for part in pool.map(write, (0, 10, 20, 30)) for outcome in part]
    assert (outcomes.count("created"), outcomes.count("unchanged")) == (40, 120)
    assert counts(store) == {"conversations": 40, "revisions": 40, "screenings": 40, "version_sets": 1}


def test_another_writer_between_is_tried_again_and_other_faults_are_not(store: Store) -> None:
    class DeadlockError(Exception):
        sqlstate = "40P01"

    calls: list[int] = []

    def write(fault: Exception, times: int) -> int:
        def writing(_: object) -> int:
            calls.append(1)
            if len(calls) <= times:
                raise OperationalError("", {}, fault)
            return len(calls)

        calls.clear()
        return ingest.retried(store, writing)

    assert write(DeadlockError(), 2) == 3
    with pytest.raises(OperationalError):
        write(DeadlockError(), 9)
    with pytest.raises(OperationalError):
        write(ConnectionError(), 1)
    assert len(calls) == 1


def test_encrypted_texts_cannot_be_searched_or_read(store: Store, screener: Screener) -> None:
    bodies = Bodies({"k1": b"1" * 32}, "k1")
    keep(store, screener, Keeping(bodies, Settings(demo=True), ZoneInfo("UTC")), RUDE)
    with store.read() as session:
        stored = [*session.scalars(select(Revision.body)), *session.scalars(select(StoredScreening.body))]
        assert [bodies.key_of(one) for one in stored] == ["k1", "k1"]
        assert session.scalars(search.revisions(session, "微信")).all() == []


def test_a_time_without_offset_is_taken_in_the_zone(store: Store, screener: Screener, keeping: Keeping) -> None:
    bare = msgspec.convert(
        {"id": "t", "started_at": "2026-03-02T10:00:00", "turns": [{"role": "agent", "text": "您好"}]}, Conversation
    )
    full = msgspec.structs.replace(bare, id="u", started_at=msgspec.convert("2026-03-02T02:00:00Z", type(bare.started_at)))
    keep(store, screener, keeping, bare, full)
    with store.read() as session:
        assert len(set(session.scalars(select(StoredConversation.started_at)))) == 1
