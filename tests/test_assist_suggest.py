import asyncio
import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.assist import check, policy, slots, suggest
from api.assist.check import Desk
from api.assist.lane import Lane
from api.assist.verdict import Draft, Place, Verdict
from api.engine import ScreeningEngine
from lexicons.load import packaged
from lexicons.signals import CUSTOMER_SIGNALS, TEXT_SIGNALS
from screening.pipeline import Screener
from screening.types import Conversation, Turn

PATIENT = 60_000


@pytest.fixture(scope="module")
def lane(screener: Screener) -> Iterator[Lane]:
    engine = ScreeningEngine(lambda: screener, queue_turns=1000)
    engine.swap(screener)
    made = Lane(engine, limit=1000)
    made.start()
    yield made
    made.close()


def judged(lane: Lane, text: str, *before: tuple[str, str], **fields: object) -> Verdict:
    turns = tuple(Turn(role, said) for role, said in (*before, ("agent", text)))
    window = Conversation(id="c", turns=turns, **fields)
    return asyncio.run(Desk(lane).judge(Draft(window, PATIENT)))


def applied(text: str, found: suggest.Suggestion) -> str:
    return text[: found.replaces.start] + found.text + text[found.replaces.end :]


def test_the_flagged_sentence_is_replaced_the_rest_stays(lane: Lane) -> None:
    text = "这款有货。您加我微信，给您便宜。今天下单明天发货。"
    (found,) = judged(lane, text, ("customer", "能便宜点吗")).suggestions
    assert found.replaces == Place(5, 16)
    assert applied(text, found) == "这款有货。有什么需要请直接在这里告诉我，我在这个窗口为您处理。今天下单明天发货。"
    assert (found.reference, found.signal, found.rule) == ("jd-zhitongche/A.diversion", "diversion.private_contact", None)


def test_the_rules_own_words_come_with_their_clause_and_slots(lane: Lane) -> None:
    before = ("agent", "王女士，您好，今天18点前给您答复")
    found = judged(lane, "晚点给您回复", before, ("customer", "什么时候能好")).suggestions
    assert found[0].text == "我会在今天18点前由我本人给您回复，王女士，到时没有结果也先向您说明进度。"
    assert found[0].reference is not None
    assert found[0].reference.startswith("jd-zhitongche/C.")
    assert found[0].rule in {rule.id for rule in packaged().rules}


def test_flags_in_several_sentences_go_together(lane: Lane) -> None:
    text = "您好。你是不是傻啊。行了。自己不会看吗？好的。"
    found = judged(lane, text).suggestions
    assert found
    assert {(own.replaces.start, own.replaces.end) for own in found} == {(3, 20)}
    assert all(applied(text, own).startswith("您好。") and applied(text, own).endswith("好的。") for own in found)


def test_a_clean_draft_gets_none(lane: Lane) -> None:
    assert judged(lane, "好的，我帮您查一下").suggestions == ()


def _drafts() -> list[str]:
    hits = [h if isinstance(h, str) else h.text for rule in packaged().rules if rule.speaker == "agent" for h in rule.hit]
    return [re.sub("[«»]", "", hit) for hit in hits[:: len(hits) // 400]]


@settings(max_examples=40)
@given(
    parts=st.lists(
        st.one_of(st.sampled_from(_drafts()), st.sampled_from(["您好。", "好的，", "请稍等！", "😊", " ", "\n"])),
        min_size=1,
        max_size=4,
    ),
    before=st.lists(
        st.tuples(st.sampled_from(["customer", "agent"]), st.sampled_from(["在吗", "李先生，您好", "我要投诉", "加微信吗"])),
        max_size=3,
    ),
    said=st.dictionaries(
        st.sampled_from(slots.SLOTS), st.sampled_from(["刘老师", "微信", "马上", "傻子", "3个工作日内", "{称呼}", ""])
    ),
)
def test_no_suggestion_raises_a_flag(
    lane: Lane, screener: Screener, parts: list[str], before: list[tuple[str, str]], said: dict[str, str]
) -> None:
    text = "".join(parts)
    found = judged(lane, text, *before, attributes=said) if text.strip() else None
    for own in found.suggestions if found else ():
        turns = tuple(Turn(role, words) for role, words in (*before, ("agent", applied(text, own))))
        screening = screener.screen(Conversation(id="c", turns=turns))
        assert [f for f in screening.flags if f.status == "active" and f.turn == len(before) and f.source.kind != "conduct"] == []
        assert "{" not in own.text


def test_every_signal_of_agents_has_words_to_say_instead(screener: Screener) -> None:
    made = policy.of(screener.lexicon, screener.profile, screener.versions)
    assert [signal for signal in TEXT_SIGNALS if signal not in made.replies] == sorted(CUSTOMER_SIGNALS)


@pytest.mark.parametrize("rule", ["{称呼}，我来查。", "给您添麻烦了，{称呼}，我来查。", "还有哪一点让您疑惑，{称呼}？"])
def test_an_address_nobody_knows_is_left_out(rule: str) -> None:
    assert slots.fill(rule, {}, "") == rule.replace("{称呼}，", "").replace("，{称呼}", "")
    assert slots.fill(rule, {"称呼": "王女士"}, "王女士，您好。") == slots.fill(rule, {}, "")
    assert slots.fill(rule, {"称呼": "王女士"}, "您好。") == rule.replace("{称呼}", "王女士")


def test_an_open_slot_gives_no_words() -> None:
    assert slots.fill("{时限}给您答复。", {}, "") is None
    assert slots.fill("这里是{商户名}，{时限}给您答复。", {"时限": "24小时内"}, "") is None


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("欧阳先生，您好", {"称呼": "欧阳先生"}),
        ("亲，在的", {"称呼": "亲"}),
        ("您好王女士，请讲", {"称呼": "王女士"}),
        ("维修的张师傅和李先生会联系您", {}),
        ("您好，欢迎光临小米官方旗舰店", {"商户名": "小米官方旗舰店"}),
        ("48小时内给您处理结果", {"时限": "48小时内"}),
        ("支持7天内退货", {}),
        ("明天下午3点前由我联系您", {"时限": "明天下午3点前"}),
    ],
)
def test_slots_are_heard_from_what_the_agent_said(said: str, found: dict[str, str]) -> None:
    assert slots.filled(Conversation(id="c", turns=(Turn("agent", said), Turn("customer", "赵小姐，好"))), {}) == found


def test_the_desks_own_attributes_go_first_unless_they_cannot_be_said() -> None:
    turns = (Turn("agent", "王女士，您好"),)
    heard = lambda **said: slots.filled(Conversation(id="c", turns=turns, attributes=said), {"时限": "24小时内"})  # noqa: E731
    assert heard(称呼="刘老师", 时限="今天18点前") == {"称呼": "刘老师", "时限": "今天18点前"}
    for unfit in ("", "  ", "长" * 41, "a\nb", "{时限}", 5, None, ["x"]):
        assert heard(称呼=unfit) == {"称呼": "王女士", "时限": "24小时内"}


def test_suggestions_that_cannot_be_screened_in_time_are_named(lane: Lane) -> None:
    window = Conversation(id="c", turns=(Turn("agent", "您加我微信吧"),))
    made = policy.of(lane.screener.lexicon, lane.screener.profile, lane.screener.versions)

    async def ask() -> object:
        found = await lane.last_turn(window, None)
        assert found.screening is not None
        return await suggest.offered(lane, Draft(window), check.flags_of(found.screening, made), made, 0.0)

    assert asyncio.run(ask()) is None
