import random
from typing import Any

import pytest
from sqlalchemy import event, select

from api.access import ACTIONS, Principal
from api.errors import ApiError
from api.review import filters as filters_module
from api.review import queue
from api.review.filters import Filters
from api.store.engine import Store
from api.store.tables import CandidateSignal, StoredCandidate
from screening.errors import InputError
from screening.normalise.clean import clean_text
from screening.pipeline import Screener
from tests.reviewing import ABUSE, DIVERSION, IMPATIENCE, SHIRKING, chat, kept, person

LEAD = Principal("user:lead", 1, "lead", ACTIONS["lead"], None)
TEXTS = (DIVERSION, ABUSE, IMPATIENCE, SHIRKING, "您好，請加我微信 abc123", f"{SHIRKING}，{ABUSE}")
CHANNELS = ("online", "online", "phone", "social")


@pytest.fixture
def filled(store: Store, screener: Screener) -> Store:
    """48 conversations of 3 vendors and 6 agents; some candidates are assigned, held, decided."""
    chats = [
        chat(f"c{i}", TEXTS[i % 6], hours=i, vendor_id=f"v{i % 3}", agent_id=f"a{i % 7}", channel=CHANNELS[i % 4])
        for i in range(48)
    ]
    kept(store, screener, chats)
    anna = person(store, "anna")
    with store.write() as session:
        for row in session.scalars(select(StoredCandidate)):
            if row.id % 5 == 0:
                row.assignee_id = anna.user_id
            if row.id % 10 == 0:
                row.status, row.claimed_until = "claimed", 10
            if row.id % 4 == 3:
                row.status = "decided"
    return store


def ids(store: Store, filters: Filters, principal: Principal = LEAD) -> list[int]:
    with store.read() as session:
        return [item.candidate.id for item in queue.page(session, principal, filters, limit=200).items]


def expected(store: Store, filters: Filters) -> list[int]:
    """The same by looking at every row."""
    with store.read() as session:
        rows = session.scalars(select(StoredCandidate)).all()
        signals = {tuple(row) for row in session.execute(select(CandidateSignal.candidate_id, CandidateSignal.signal))}
        conversations = {item.candidate.id: item.external_id for item in queue.items(session, rows)}

    def holds(row: StoredCandidate) -> bool:
        text = clean_text(TEXTS[int(conversations[row.id][1:]) % 6]).clean
        same = all(
            getattr(filters, name) in (None, getattr(row, name))
            for name in ("status", "assignee_id", "agent_id", "vendor_id", "clause", "level", "channel")
        )
        return (
            same
            and (not filters.unassigned or row.assignee_id is None)
            and (filters.signal is None or (row.id, filters.signal) in signals)
            and (filters.occurred_from or 0) <= row.occurred_at < (filters.occurred_to or 2**62)
            and (filters.score_from or 0) <= row.score <= (1 if filters.score_to is None else filters.score_to)
            and (filters.words is None or filters.words in text)
        )

    found = [row for row in rows if holds(row)]
    return [row.id for row in sorted(found, key=lambda row: (row.priority, row.id), reverse=True)]


HOUR = 3_600_000_000
CHOICES: dict[str, tuple[Any, ...]] = {
    "status": ("open", "open", "open", "claimed", "decided", "outdated"),
    "assignee_id": (None, None, 1),
    "agent_id": (None, None, None, "a1", "a9"),
    "signal": (None, None, "rudeness.abuse", "diversion.private_contact"),
    "vendor_id": (None, None, "v0", "v2"),
    "clause": (None, None, "A.attitude", "B.shirking"),
    "level": (None, None, "A", "B", "C"),
    "channel": (None, None, "online", "phone"),
    "occurred_from": (None, None, 1_772_409_600_000_000 + 5 * HOUR),
    "occurred_to": (None, None, 1_772_409_600_000_000 + 30 * HOUR),
    "score_from": (None, None, 0.97),
    "score_to": (None, None, None, 0.975),
    "words": (None, None, None, "微信", "傻子", "不归我管"),
}


@pytest.mark.parametrize("few", [0, 3, 3_000])
def test_any_filters_find_what_a_look_at_every_row_finds(filled: Store, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    """With matches collected (few is large), with the index walked (0), and between."""
    monkeypatch.setattr(filters_module, "FEW", few)
    chance = random.Random(few)
    found = 0
    for _ in range(25):
        given = {name: chance.choice(values) if chance.random() < 0.45 else None for name, values in CHOICES.items()}
        filters = Filters(**given | {"status": given["status"] or "open"})
        assert ids(filled, filters) == expected(filled, filters), filters
        found += bool(ids(filled, filters))
    assert found > 5
    assert ids(filled, Filters(unassigned=True)) == expected(filled, Filters(unassigned=True))


def test_sure_a_come_first(filled: Store) -> None:
    with filled.read() as session:
        shown = [item.candidate for item in queue.page(session, LEAD, Filters(), limit=200).items]
    assert [row.level for row in shown] == sorted(row.level for row in shown)
    assert {row.level for row in shown} == {"A", "B"}
    assert [(row.priority, row.id) for row in shown] == sorted(((row.priority, row.id) for row in shown), reverse=True)
    assert shown[0].priority == pytest.approx(100 * shown[0].score + 4 * shown[0].score * (1 - shown[0].score))


def test_words_are_found_in_either_script(filled: Store) -> None:
    for words, text in {"请加": 4, "請加": 4, "加我 ABC": 4, "那边便宜": 0, "那邊便宜": 0}.items():
        with filled.read() as session:
            found = queue.page(session, LEAD, Filters(words=words), limit=200).items
        assert {int(item.external_id[1:]) % 6 for item in found} == {text}


def test_one_character_is_refused_with_a_reason(filled: Store) -> None:
    with filled.read() as session, pytest.raises(InputError, match="at least two"):
        queue.page(session, LEAD, Filters(words="微"), limit=10)


@pytest.mark.parametrize("given", [{}, {"signal": "rudeness.abuse"}, {"words": "微信"}, {"vendor_id": "v0"}])
def test_pages_join_without_gap_though_candidates_come_in_between(
    filled: Store, screener: Screener, given: dict[str, Any]
) -> None:
    whole = ids(filled, Filters(**given))
    seen: list[int] = []
    cursor = None
    for step in range(100):
        with filled.read() as session:
            shown = queue.page(session, LEAD, Filters(**given), limit=3, cursor=cursor)
        seen += [item.candidate.id for item in shown.items]
        cursor = shown.cursor
        if cursor is None:
            break
        kept(filled, screener, [chat(f"n{6 * step}", TEXTS[step % 6], vendor_id="v0", agent_id="a0")])
    assert [one for one in seen if one in whole] == whole
    assert len(seen) == len(set(seen))


def test_a_cursor_that_is_none_is_refused(filled: Store) -> None:
    for cursor in ("", "x", "%%%", "WzFd", "é", "W251bGwsMSwyXQ=="):
        with filled.read() as session, pytest.raises(ApiError, match="cursor"):
            queue.page(session, LEAD, Filters(), limit=3, cursor=cursor)


def test_a_cursor_serves_its_own_filters_only(filled: Store) -> None:
    with filled.read() as session:
        cursor = queue.page(session, LEAD, Filters(), limit=3).cursor
        assert cursor
        with pytest.raises(ApiError, match="other filters"):
            queue.page(session, LEAD, Filters(level="A"), limit=3, cursor=cursor)


def test_a_vendor_sees_what_is_decided_of_his_own(filled: Store) -> None:
    vendor = Principal("user:v", 9, "vendor", ACTIONS["vendor"], "v1")
    found = ids(filled, Filters(), vendor)
    assert found
    assert found == expected(filled, Filters(status="decided", vendor_id="v1"))
    assert ids(filled, Filters(status="open", vendor_id="v2"), vendor) == found
    with filled.read() as session:
        counted = queue.counts(session, vendor, Filters())
    assert (counted.total, counted.status) == (len(found), {"decided": len(found)})


@pytest.mark.parametrize("given", [{}, {"vendor_id": "v1"}, {"level": "A", "words": "微信"}])
def test_counts_are_those_of_the_pages(filled: Store, given: dict[str, Any]) -> None:
    with filled.read() as session:
        found = queue.counts(session, LEAD, Filters(**given))
    assert found.total == len(expected(filled, Filters(**given)))
    for name in ("status", "level", "channel", "clause"):
        for value, count in getattr(found, name).items():
            assert count == len(expected(filled, Filters(**given | {name: value}))), (name, value)
    assert {"A.attitude", "A.diversion", "B.attitude", "B.shirking"} <= set(found.clause)


def test_counting_stops(filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "COUNTED", 5)
    with filled.read() as session:
        assert queue.counts(session, LEAD, Filters()).total == 6


def test_a_page_asks_a_fixed_number_of_questions(filled: Store) -> None:
    asked: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        asked.append(statement)

    event.listen(filled.engine, "before_cursor_execute", note)
    ids(filled, Filters(words="微信"))
    assert sum("SELECT" in statement for statement in asked) <= 5
