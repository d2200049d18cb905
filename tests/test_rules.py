"""What a rule's conditions do, on small lexicons made here."""

import msgspec
import pytest

from lexicons.load import packaged
from lexicons.schema import After, Position, Repeats, Rule
from screening.pipeline import Screener
from tests.conftest import conversation

BASE = Rule(
    id="tried",
    version=1,
    signal="shirking",
    title="试",
    references=("jd-zhitongche/B.shirking",),
    hit=("«x»",),
    miss=("y", "z"),
    any_of=("这归别家管",),
)


def screener(**changes) -> Screener:
    rule = msgspec.structs.replace(BASE, **changes)
    return Screener(msgspec.structs.replace(packaged(), rules=(rule,)))


def flags(made: Screener, *turns, **fields):
    return [(f.turn, f.quote, f.status) for f in made.screen(conversation(*turns, **fields)).flags if f.source.id == "tried"]


def test_a_phrase_is_found_and_quoted():
    assert flags(screener(), ("customer", "在吗"), ("agent", "這歸別家管呀")) == [(1, "這歸別家管", "active")]


def test_only_the_named_speaker_is_judged():
    assert flags(screener(), ("customer", "这归别家管"), ("bot", "这归别家管"), ("system", "这归别家管")) == []


@pytest.mark.parametrize(("status", "seen"), [("shadow", "shadow"), ("active", "active")])
def test_status_reaches_the_flag(status, seen):
    assert flags(screener(status=status), ("agent", "这归别家管")) == [(0, "这归别家管", seen)]


@pytest.mark.parametrize("status", ["draft", "retired"])
def test_drafts_and_retired_rules_do_not_run(status):
    assert flags(screener(status=status, reason="x"), ("agent", "这归别家管")) == []


def test_a_shadow_flag_makes_no_candidate():
    screening = screener(status="shadow").screen(conversation(("agent", "这归别家管")))
    assert screening.flags and not screening.candidates and screening.level is None


def test_unless_excuses_only_where_it_overlaps():
    made = screener(unless=("不是说这归别家管",))
    text = "不是说这归别家管，可这归别家管"
    assert flags(made, ("agent", text)) == [(0, "这归别家管", "excused"), (0, "这归别家管", "active")]


@pytest.mark.parametrize(
    ("text", "excuse"),
    [("您刚才说“这归别家管”是误会", "quotation"), ("我们没说过这归别家管", "negation")],
)
def test_excuses_are_kept_and_named(text, excuse):
    screening = screener().screen(conversation(("agent", text)))
    assert [(f.status, f.excused_by) for f in screening.flags] == [("excused", excuse)]
    assert not screening.candidates


def test_a_rule_may_switch_excuses_off():
    assert flags(screener(excuses=()), ("agent", "我们没说过这归别家管"))[0][2] == "active"


def test_after_asks_for_what_was_said_before():
    made = screener(any_of=("可以的",), after=After(pattern="加.{0,2}微信"))
    assert flags(made, ("customer", "能加微信吗"), ("agent", "可以的")) == [(1, "可以的", "active")]
    assert flags(made, ("customer", "能退吗"), ("agent", "可以的")) == []
    assert flags(made, ("customer", "能加微信吗"), ("customer", "在吗"), ("agent", "可以的")) == []


def test_after_reaches_back_as_many_turns_as_it_says():
    made = screener(any_of=("可以的",), after=After(pattern="加.{0,2}微信", turns=2))
    assert flags(made, ("customer", "能加微信吗"), ("customer", "在吗"), ("agent", "可以的")) == [(2, "可以的", "active")]


def test_after_may_name_the_agent():
    made = screener(after=After(pattern="售后的事", speaker="agent"))
    assert flags(made, ("agent", "这是售后的事"), ("customer", "那怎么办"), ("agent", "这归别家管")) == [
        (2, "这归别家管", "active")
    ]


def test_position_in_turns_and_seconds():
    turns = (("agent", "这归别家管", 0), ("customer", "啊", 5), ("agent", "这归别家管", 100), ("customer", "好", 110))
    assert [t for t, _, _ in flags(screener(position=Position(first_turns=1)), *turns)] == [0]
    assert [t for t, _, _ in flags(screener(position=Position(last_turns=2)), *turns)] == [2]
    assert [t for t, _, _ in flags(screener(position=Position(first_seconds=30)), *turns)] == [0]
    assert [t for t, _, _ in flags(screener(position=Position(last_seconds=30)), *turns)] == [2]


def test_repeats_counts_turns_of_the_same_rule():
    made = screener(repeats=Repeats(turns=4, times=2))
    assert flags(made, ("agent", "这归别家管"), ("customer", "啊"), ("agent", "您好")) == []
    found = flags(made, ("agent", "这归别家管"), ("customer", "啊"), ("agent", "这归别家管"))
    assert [t for t, _, _ in found] == [2]


def test_whole_word():
    made = screener(any_of=("滚",), whole_word=True, signal="rudeness.abuse")
    assert flags(made, ("agent", "您的滚筒洗衣机到了")) == []
    assert flags(made, ("agent", "你给我滚！")) == [(0, "滚", "active")]


def test_fold_none_stays_in_the_clean_view():
    assert flags(screener(fold="none"), ("agent", "这.归.别.家.管")) == []
    assert flags(screener(), ("agent", "这.归.别.家.管")) == [(0, "这.归.别.家.管", "active")]


def test_fold_sound_finds_homophones_but_no_ordinary_words():
    made = screener(fold="sound")
    assert flags(made, ("agent", "这龟憋家管")) == [(0, "这龟憋家管", "active")]
    assert flags(screener(any_of=("加我微信",), fold="sound"), ("agent", "价位威信")) == []


def test_a_word_that_reaches_over_the_edge_explains_the_separator():
    made = screener(any_of=("管不了",))
    assert flags(made, ("agent", "血管.不了解")) == []
