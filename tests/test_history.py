"""Rules over several conversations, counted by hand. 2026-03-02 is a Monday; times of day are Shanghai's."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexicons.load import packaged
from screening.detect.conduct.facts import Facts, Mail, Promise
from screening.history import rules
from screening.history.findings import bases
from screening.history.records import Occurrence, Record, complaint, record_of
from screening.profile import Profile
from tests.conftest import START, conversation

ZONE = ZoneInfo("Asia/Shanghai")
UNTIL = int(datetime(2026, 12, 31, tzinfo=ZONE).timestamp() * 1_000_000)


@pytest.fixture(scope="module")
def held() -> dict:
    return bases(Profile(), packaged())


def at(text: str) -> int:
    """Microseconds of "03-02 10:00" in 2026."""
    return round(datetime.strptime(f"2026-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=ZONE).timestamp() * 1_000_000)


def record(id_: str, began: str | None, *, customer: str | None = "u1", vendor: str | None = "v1", **fields: object) -> Record:
    facts = Facts(**{name: fields.pop(name) for name in list(fields) if name in Facts.__struct_fields__})
    moment = None if began is None else at(began)
    rest = {"ended_at": moment, "solved": None} | fields
    return Record(
        conversation_id=id_, vendor_id=vendor, agent_id=f"a-{id_}", customer_id=customer, began_at=moment, facts=facts, **rest
    )


def found(held: dict, records: list[Record], kind: str, until: int = UNTIL) -> list:
    return [one for one in rules.findings(records, held, ZONE, until) if one.kind == kind]


def contact(id_: str, when: str, *, opened: bool = True, **fields: object) -> Record:
    return record(id_, when, first_agent_at=at(when), agent_opened=opened, **fields)


# Wrong entries: three in a calendar month make one C.


def errors(held: dict, *counts: tuple[str, str, int], vendor: str = "v1") -> list:
    return found(
        held, [record(id_, when, vendor=vendor, customer=None, entry_errors=n) for id_, when, n in counts], "entry_errors"
    )


def test_three_wrong_entries_in_a_month_make_one_c(held):
    (one,) = errors(held, ("c1", "03-02 09:00", 1), ("c2", "03-15 09:00", 1), ("c3", "03-31 23:59", 1))
    assert (one.standard, one.clause, one.level, one.points) == ("jd-zhitongche", "C.key_information", "C", 5)
    assert (one.conversations, one.agent_id, one.day, one.count) == (("c1", "c2", "c3"), "a-c3", "2026-03-31", 3)


def test_a_month_ends_at_midnight_in_shanghai(held):
    assert errors(held, ("c1", "03-02 09:00", 1), ("c2", "03-15 09:00", 1), ("c3", "04-01 00:00", 1)) == []
    utc_march = Occurrence("c3", None, round(datetime(2026, 3, 31, 16, 0, tzinfo=UTC).timestamp() * 1e6), "v1", None, None)
    assert [mark.month for mark in rules.every_nth([utc_march] * 3, 3, ZONE)] == ["2026-04"]


def test_every_third_counts_again_and_what_is_left_does_not(held):
    first, second = errors(held, ("c1", "03-02 09:00", 2), ("c2", "03-03 09:00", 5), ("c3", "03-04 09:00", 1))
    assert (first.conversations, second.conversations) == (("c1", "c2"), ("c2",))  # 2 + 5 = 7: the 3rd and the 6th fall in c2
    assert "第 3 处" in first.why
    assert "第 6 处" in second.why


def test_vendors_are_counted_apart(held):
    assert errors(held, ("c1", "03-02 09:00", 2)) + errors(held, ("c2", "03-02 09:00", 1), vendor="v2") == []


def test_wrong_entries_without_a_time_are_named_and_not_counted(held):
    (one,) = errors(held, ("c1", None, 4), ("c2", "03-02 09:00", 1))
    assert (one.outcome, one.conversations, one.count, one.day) == ("undated", ("c1",), 4, None)


# Diversion: once a day for each consulting account.


def test_diversion_counts_once_a_day_for_one_account(held):
    day = [
        record("c1", "03-02 09:00", diversions=((3, at("03-02 09:05")), (5, at("03-02 09:06")))),
        record("c2", "03-02 23:00", diversions=((1, None),)),
    ]
    (one,) = found(held, day, "diversion")
    assert (one.clause, one.level, one.points, one.count) == ("A.diversion", "A", 50, 2)
    assert (one.conversations, one.turns, one.day) == (("c1", "c2"), (3, 1), "2026-03-02")
    assert "2 个对话中引流 3 处" in one.why


@pytest.mark.parametrize(
    "other",
    [{"customer": "u2"}, {"vendor": "v2"}, {"customer": None}],
    ids=["another account", "another vendor", "no account"],
)
def test_diversion_counts_apart(held, other):
    both = [record("c1", "03-02 09:00", diversions=((3, None),)), record("c2", "03-02 10:00", diversions=((1, None),), **other)]
    assert [one.count for one in found(held, both, "diversion")] == [1, 1]


def test_a_conversation_over_midnight_counts_on_both_days(held):
    over = record("c1", "03-02 23:50", diversions=((3, at("03-02 23:59")), (9, at("03-03 00:00"))))
    assert [one.day for one in found(held, [over], "diversion")] == ["2026-03-02", "2026-03-03"]


# Promises, against later conversations.


def promising(**fields: object) -> Record:
    promise = Promise(4, at("03-02 10:00"), at("03-02 18:00"), fields.pop("done_at", None))
    return record("c1", "03-02 10:00", ended_at=at("03-02 10:05"), promises=(promise,), **fields)


@pytest.mark.parametrize(
    ("others", "outcome", "conversations"),
    [
        ([contact("c2", "03-02 18:00")], "kept", ("c1", "c2")),
        ([contact("c2", "03-02 18:01")], "late", ("c1", "c2")),
        ([contact("c3", "03-02 17:00"), contact("c2", "03-02 12:00")], "kept", ("c1", "c2")),
        ([contact("c2", "03-02 12:00", opened=False)], "unkept", ("c1",)),
        ([contact("c2", "03-02 10:05")], "unkept", ("c1",)),
        ([contact("c2", "03-02 12:00", customer="u2")], "unkept", ("c1",)),
        ([contact("c2", "03-02 12:00", vendor="v2")], "unkept", ("c1",)),
        ([], "unkept", ("c1",)),
    ],
    ids=["in time", "late", "the first counts", "the customer came", "not later", "another customer", "another vendor", "nobody"],
)
def test_promises(held, others, outcome, conversations):
    (one,) = found(held, [promising(), *others], "promise")
    assert (one.outcome, one.conversations, one.agent_id) == (outcome, conversations, "a-c1")
    assert (one.clause, one.level, one.due_at) == ("B.promise", "B", at("03-02 18:00"))


def test_a_customer_who_came_back_is_named(held):
    (one,) = found(held, [promising(), contact("c2", "03-02 12:00", opened=False)], "promise")
    assert "客户自己来过 1 次" in one.why


def test_a_recorded_call_back_keeps_a_promise(held):
    (one,) = found(held, [promising(done_at=at("03-02 17:59"))], "promise")
    assert (one.outcome, one.at) == ("kept", at("03-02 17:59"))


def test_a_kept_promise_names_the_flag_that_it_clears(held):
    (one,) = found(held, [promising(unkept_turns=(4,)), contact("c2", "03-02 12:00")], "promise")
    assert "可据此撤销" in one.why


def test_a_promise_that_is_not_due_yet_is_open(held):
    (one,) = found(held, [promising()], "promise", until=at("03-02 18:00"))
    assert one.outcome == "open"


# Mails on a shift day.


def mail(replied: str | None = None, on_shift: bool | None = True) -> Record:
    sent = Mail(0, at("03-02 09:00"), None if replied is None else at(replied))
    return record("c1", "03-02 09:00", mails=(sent,), on_shift=on_shift)


def test_a_mail_without_an_answer_on_its_day(held):
    (one,) = found(held, [mail()], "mail")
    assert (one.outcome, one.clause, one.day, one.due_at) == ("unanswered", "B.promise", "2026-03-02", at("03-03 00:00"))
    (one,) = found(held, [mail("03-03 08:00")], "mail")
    assert "03-03 08:00 才回复" in one.why


def test_mails_that_are_no_fault(held):
    assert found(held, [mail(on_shift=None)], "mail") == []
    assert found(held, [mail(on_shift=False)], "mail") == []
    assert found(held, [mail(), contact("c2", "03-02 23:59")], "mail") == []
    assert len(found(held, [mail(), contact("c2", "03-03 00:00")], "mail")) == 1
    assert found(held, [mail()], "mail", until=at("03-02 20:00"))[0].outcome == "open"


# Repeated complaints.


def complaints(*given: tuple[str, str, str | None, bool | None]) -> list[Record]:
    return [record(id_, when, complaint=cause, solved=solved) for id_, when, cause, solved in given]


def test_the_same_cause_again_is_a_repeated_complaint(held):
    given = complaints(
        ("c1", "03-02 09:00", "物流破损", False), ("c2", "03-09 09:00", "物流破损", None), ("c3", "03-10 09:00", "发票", None)
    )
    (one,) = found(held, given, "repeated_complaint")
    assert (one.standard, one.clause, one.conversations, one.count, one.agent_id) == (
        "major-complaint",
        None,
        ("c1", "c2"),
        2,
        "a-c2",
    )


def test_a_solved_complaint_begins_anew(held):
    given = complaints(*((f"c{i}", f"03-0{i} 09:00", "物流破损", i == 2) for i in range(1, 6)))
    assert [one.conversations for one in found(held, given, "repeated_complaint")] == [("c1", "c2"), ("c3", "c4", "c5")]


def test_what_a_complaint_is_about():
    assert complaint("  ＡＢ破损 ", None, flagged=False) == "ab破损"
    assert complaint(None, "D77", flagged=True) == "订单 D77"
    assert complaint(None, "D77", flagged=False) is None


# All together.


def test_the_record_of_a_screened_conversation(screener):
    made = conversation(
        ("customer", "能便宜点吗", 0),
        ("agent", "您加我微信，那边给您便宜一百", 20),
        ("customer", "我要去12315投诉你们", 30),
        vendor_id="v1",
        attributes={"order_id": "D1", "solved": False},
    )
    ((screening, facts),) = screener.screen_with_facts([made])
    own = record_of(made, screening, facts, ZONE)
    moment = [round((START + timedelta(seconds=s)).timestamp() * 1e6) for s in (0, 20, 30)]
    assert own.diversions[0] == (1, moment[1])
    assert (own.began_at, own.ended_at, own.complaint, own.solved) == (moment[0], moment[2], "订单 D1", False)


def test_only_graded_standards_judge_but_a_major_complaint_is_one_anywhere():
    held = bases(Profile(standards=("tencent-zhongchuang",)), packaged())
    standards = {kind: [basis.standard for basis in own] for kind, own in held.items() if own}
    assert standards == {"promise": ["tencent-zhongchuang"], "repeated_complaint": ["major-complaint"]}


_moments = st.integers(at("02-27 00:00"), at("03-04 00:00")).map(lambda moment: moment // 60_000_000 * 60_000_000)


@st.composite
def _records(draw: st.DrawFn, number: int) -> Record:
    began = draw(st.none() | _moments)
    promise = draw(st.none() | st.tuples(_moments, st.integers(1, 48)))
    facts = Facts(
        first_agent_at=began,
        agent_opened=draw(st.booleans()),
        on_shift=draw(st.sampled_from([None, True])),
        entry_errors=draw(st.integers(0, 4)),
        promises=() if promise is None else (Promise(1, promise[0], promise[0] + promise[1] * 3_600_000_000),),
        mails=() if began is None or draw(st.booleans()) else (Mail(0, began),),
    )
    return Record(
        conversation_id=f"c{number}",
        vendor_id=draw(st.sampled_from([None, "v1", "v2"])),
        agent_id=draw(st.sampled_from([None, "a1"])),
        customer_id=draw(st.sampled_from([None, "u1", "u2"])),
        began_at=began,
        ended_at=began,
        solved=draw(st.sampled_from([None, True, False])),
        facts=facts,
        diversions=draw(st.sampled_from([(), ((1, began),), ((1, None), (3, began))])),
        complaint=draw(st.sampled_from([None, "破损", "发票"])),
    )


@st.composite
def _shuffled(draw: st.DrawFn) -> tuple[list[Record], list[Record]]:
    made = [draw(_records(number)) for number in range(draw(st.integers(0, 7)))]
    return made, draw(st.permutations(made))


@given(_shuffled())
def test_the_order_of_the_input_does_not_matter(both: tuple[list[Record], list[Record]]):
    held = bases(Profile(), packaged())
    given_, shuffled = both
    first = rules.findings(given_, held, ZONE, at("03-03 00:00"))
    assert first == rules.findings(shuffled, held, ZONE, at("03-03 00:00"))
    counted = sum(one.count for one in first if one.kind == "entry_errors" and one.outcome == "undated")
    assert counted == sum(r.facts.entry_errors for r in given_ if r.began_at is None)
