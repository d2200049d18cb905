"""What is kept of a conversation beside its flags. Times are seconds after Monday 2026-03-02 10:00 in Shanghai."""

from datetime import timedelta

import msgspec
import pytest

from screening.detect.conduct.facts import Facts, Mail, Promise
from screening.types import Conversation
from tests.conftest import START, conversation

HOUR = 3600


def micros(seconds: float) -> int:
    return round((START + timedelta(seconds=seconds)).timestamp() * 1_000_000)


@pytest.fixture
def facts(screener):
    def found(*turns: tuple, **fields: object) -> Facts:
        ((screening, facts),) = screener.screen_with_facts([conversation(*turns, **fields)])
        assert screening == screener.screen(conversation(*turns, **fields))
        return facts

    return found


def test_response_times_are_those_that_the_flags_judge(facts):
    found = facts(
        ("customer", "在吗", 0),
        ("agent", "【自动回复】您好，您的消息已收到，客服正在赶来，请稍等", 1),
        ("agent", "您好，在的", 40),
        ("customer", "蓝色有货吗", 60),
        ("agent", "蓝色有货的", 80),
    )
    assert (found.first_response_seconds, found.mean_response_seconds, found.responses) == (40, 30, 2)
    assert found.first_agent_at == micros(40)


def test_an_announced_and_kept_hold_is_taken_off(facts):
    found = facts(
        ("customer", "帮我查下", 0),
        ("agent", "好的，请您稍等，我为您查询一下", 5),
        ("agent", "查到了，在路上", 50),
        ("customer", "好", 60),
    )
    assert (found.mean_response_seconds, found.responses) == (5, 1)


def test_without_times_nothing_is_claimed(facts):
    found = facts(("customer", "在吗"), ("agent", "稍后24小时内给您回电"), channel="email", attributes={"on_shift": True})
    assert found == Facts(on_shift=True)


def test_a_promise_to_be_in_touch_is_kept_with_its_due_time(facts):
    found = facts(("customer", "什么时候给我答复", 0), ("agent", "我在24小时内给您回电", 10), ("customer", "好", 20))
    assert found.promises == (Promise(1, micros(10), micros(10 + 24 * HOUR)),)


@pytest.mark.parametrize(
    ("said", "until"),
    [("稍后给您回电", 20), ("今天18点前给您申请优惠券", 20), ("10分钟内给您回复", 11 * 60)],
    ids=["no time named", "nothing to be in touch about", "due before the conversation ended"],
)
def test_promises_that_later_conversations_cannot_settle(facts, said, until):
    assert facts(("customer", "怎么办", 0), ("agent", said, 10), ("customer", "好", until)).promises == ()


def test_the_record_of_a_call_back_is_taken_over(facts):
    done = (START + timedelta(hours=2)).isoformat()
    attributes = {"callbacks": [{"promised_turn": 1, "done_at": done}]}
    found = facts(("customer", "怎么办", 0), ("agent", "今天18点前给您回电", 10), attributes=attributes)
    assert found.promises == (Promise(1, micros(10), micros(8 * HOUR), micros(2 * HOUR)),)


@pytest.mark.parametrize(
    ("turns", "fields", "opened"),
    [
        ((("agent", "您好，昨天答应给您回电", 0), ("customer", "嗯", 5)), {}, True),
        ((("customer", "喂，你好", 0), ("agent", "您好，昨天答应给您回电", 5)), {"channel": "phone"}, True),
        ((("customer", "你们怎么还不回电", 0), ("agent", "非常抱歉", 5)), {"channel": "phone"}, False),
        ((("customer", "怎么还不回电", 0), ("agent", "抱歉", 5)), {"attributes": {"direction": "outbound"}}, True),
        ((("bot", "您好", 0), ("agent", "您好", 5)), {}, False),
        ((("customer", "有人吗", 0),), {}, False),
    ],
)
def test_who_opened_the_conversation(facts, turns, fields, opened):
    assert facts(*turns, **fields).agent_opened is opened


def test_mails_without_a_reply_on_their_own_day(facts):
    found = facts(
        ("customer", "请问发票怎么开", 0),
        ("agent", "您好，请提供抬头", 13 * HOUR),
        ("customer", "已提供，麻烦尽快", 13.5 * HOUR),
        ("agent", "您好，已开具", 14 * HOUR),
        ("customer", "还是没有收到", 15 * HOUR),
        channel="email",
    )
    # 10:00 on Monday + 13 h is Monday 23:00; 13.5 h is 23:30, answered at 24:00 sharp: the next day; 15 h is Tuesday 01:00.
    assert found.mails == (Mail(2, micros(13.5 * HOUR), micros(14 * HOUR)), Mail(4, micros(15 * HOUR)))


def test_attributes_of_the_wrong_kind_are_not_read(facts):
    found = facts(
        ("agent", "您好", 0), attributes={"entry_errors": True, "on_shift": "ja", "complaint_cause": " ", "callbacks": 3}
    )
    assert (found.entry_errors, found.on_shift, found.complaint_cause) == (0, None, None)


def test_the_archive_has_the_same_screenings_with_and_without_facts(screener, archive: list[Conversation]):
    with_facts = list(screener.screen_with_facts(archive))
    assert msgspec.json.encode([screening for screening, _ in with_facts]) == msgspec.json.encode(
        list(screener.screen_many(archive))
    )
    assert sum(facts.responses or 0 for _, facts in with_facts) > 200
