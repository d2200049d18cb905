"""Conduct: what order and time of turns show. Times are seconds after the start."""

import pytest

from tests.conftest import active, conversation

GREETING = ("agent", "您好，请问有什么可以帮您", 5)


def test_first_reply_late(flags_of):
    turns = (("customer", "在吗", 0), ("agent", "您好，在的", 61), ("customer", "好", 62))
    assert ("response.slow_first", 1) in flags_of(*turns, signals=("response.",))


def test_first_reply_at_the_limit_is_in_time(flags_of):
    turns = (("customer", "在吗", 0), ("agent", "您好，在的", 60), ("customer", "好的谢谢", 62))
    assert ("response.slow_first", 1) not in flags_of(*turns)


def test_an_automatic_reply_is_no_reply(flags_of):
    turns = (
        ("customer", "在吗", 0),
        ("agent", "【自动回复】您好，您的消息已收到，客服正在赶来，请稍等", 1),
        ("agent", "您好，在的", 90),
        ("customer", "好", 95),
    )
    assert ("response.slow_first", 2) in flags_of(*turns)


def test_no_reply_at_all_is_flagged_on_the_last_turn(screener):
    late = conversation(("customer", "在吗", 0), ("customer", "有人吗", 40), ended_by="system")
    late = late.__class__(
        **{f: getattr(late, f) for f in late.__struct_fields__} | {"ended_at": late.turns[0].at.replace(minute=5)}
    )
    assert ("response.slow_first", 1) in active(screener.screen(late))


def test_mean_reply_flags_the_conversation_and_stands_last(screener):
    turns = [GREETING]
    for i in range(4):
        turns += [("customer", f"那尺码{i}呢", 20 + 60 * i), ("agent", f"尺码{i}有货", 60 + 60 * i)]
    screening = screener.screen(conversation(*turns))
    assert screening.flags[-1].signal == "response.slow"
    assert (screening.flags[-1].turn, screening.flags[-1].start, screening.flags[-1].quote) == (None, None, "")
    assert "tencent-zhongchuang" in screening.flags[-1].why


def test_time_in_a_kept_hold_does_not_count(flags_of):
    turns = (
        ("customer", "帮我查下订单到哪了", 0),
        ("agent", "好的，请您稍等，我帮您查一下可以吗", 10),
        ("customer", "可以", 14),
        ("agent", "让您久等了，已到您所在城市", 65),
        ("customer", "好的谢谢", 70),
    )
    assert flags_of(*turns, signals=("response.", "process.")) == []


def test_a_hold_that_overruns_is_flagged_on_the_late_turn(flags_of):
    turns = (
        ("customer", "帮我查下订单到哪了", 0),
        ("agent", "请您稍等，我帮您查一下", 10),
        ("customer", "好", 15),
        ("agent", "久等了，已到您所在城市", 140),
        ("customer", "好的谢谢", 150),
    )
    assert ("process.hold_unannounced", 3) in flags_of(*turns)


def test_dead_air_on_the_phone(flags_of):
    turns = (
        ("agent", "您好，很高兴为您服务", 0, 3),
        ("customer", "我的保修到什么时候", 4, 8),
        ("agent", "保修到明年三月", 80, 84),
        ("customer", "好的谢谢", 85, 87),
    )
    assert ("process.hold_unannounced", 2) in flags_of(*turns, channel="phone")


@pytest.mark.parametrize(("limit", "channel"), [(31, "online"), (301, "phone")])
def test_upset_customer_unanswered(flags_of, limit, channel):
    turns = (
        ("agent", "您好", 0),
        ("customer", "太过分了！你们这是什么态度，气死我了", 10),
        ("agent", "非常抱歉给您带来不好的体验", 10 + limit),
        ("customer", "好吧谢谢", 15 + limit),
    )
    assert ("response.unattended_emotion", 2) in flags_of(*turns, channel=channel)


def test_unattended_emotion_takes_precedence_over_the_slow_first_reply_in_the_same_interval(screener):
    turns = (("customer", "太过分了！你们这是什么态度，气死我了", 0), ("agent", "非常抱歉", 90), ("customer", "行吧谢谢", 95))
    screening = screener.screen(conversation(*turns))
    signals = {flag.signal for flag in screening.flags}
    assert {"response.slow_first", "response.unattended_emotion"} <= signals
    slow_first = [i for i, flag in enumerate(screening.flags) if flag.signal == "response.slow_first"]
    assert not any(set(c.flags) & set(slow_first) for c in screening.candidates if c.level == "C")
    assert any(c.clause == "B.attitude" for c in screening.candidates)


def test_missing_times_switch_timing_off_and_say_so(screener):
    screening = screener.screen(conversation(("customer", "在吗"), ("agent", "您好，在的")))
    assert "timing" in screening.not_checked
    assert screening.complete


def test_times_that_go_backwards_switch_timing_off(screener):
    screening = screener.screen(conversation(("customer", "在吗", 100), ("agent", "您好，在的", 0)))
    assert "timing" in screening.not_checked


def test_talk_over_needs_half_a_second_and_more_than_a_back_channel(flags_of):
    def call(text: str, at: float):
        return flags_of(
            ("agent", "您好，很高兴为您服务", 0, 3),
            ("customer", "我昨天买的那个洗衣机它一直在响然后我想", 4, 12),
            ("agent", text, at, at + 4),
            ("customer", "你让我说完", 17, 19),
            ("agent", "好的您请说", 20, 22),
            signals=("rudeness.interruption",),
            channel="phone",
        )

    assert ("rudeness.interruption", 2) in call("您重启一下就可以了", 11.0)
    assert ("rudeness.interruption", 2) not in call("您重启一下就可以了", 11.6)
    assert ("rudeness.interruption", 2) not in call("嗯嗯，是的", 9.0)


OPEN = (("customer", "在吗", 0), ("agent", "您好，请讲", 5), ("customer", "我的退款怎么还没到？", 10))
BYE = ("agent", "感谢您的咨询，祝您生活愉快，再见", 15)


def test_forced_end_on_an_open_question(flags_of):
    assert ("forced_end.hangup", 3) in flags_of(*OPEN, BYE, ended_by="agent")


def test_system_line_shows_the_forced_end(flags_of):
    turns = (*OPEN, ("system", "客服已结束会话", 15))
    assert ("forced_end.hangup", 3) in flags_of(*turns, ended_by="agent")


@pytest.mark.parametrize(
    "turns",
    [
        (("customer", "在吗", 0), ("agent", "退款三天内到账", 5), ("customer", "好的，谢谢", 10), BYE),
        (*OPEN, ("agent", "请问您还在线吗", 80), ("agent", "长时间未收到您的回复，先为您结束会话，再见", 200)),
        (("agent", "您好，请讲", 0), ("agent", "您好，听不到您的声音", 6), ("agent", "听不到您讲话，请稍后再拨，再见", 12)),
    ],
    ids=["agreement", "announced silence", "silent call asked twice"],
)
def test_innocent_ends(flags_of, turns):
    assert flags_of(*turns, ended_by="agent", signals=("forced_end.hangup",)) == []


def test_ended_by_system_alone_is_no_hang_up(flags_of):
    assert flags_of(*OPEN, ended_by="system", signals=("forced_end.hangup",)) == []


TRANSFER = ("system", "会话已转接至 售后组", 30)


def test_transfer_without_consent_is_flagged(flags_of):
    turns = (*OPEN, ("agent", "这个归售后管，给您转过去", 20), TRANSFER)
    assert any(s == "forced_end.transfer" for s, _ in flags_of(*turns))


def test_transfer_with_consent_is_innocent(flags_of):
    turns = (*OPEN, ("agent", "需要售后专员核实，帮您转接可以吗？", 20), ("customer", "可以", 25), TRANSFER)
    assert flags_of(*turns, signals=("forced_end.transfer",)) == []


def test_transfer_against_a_no_is_flagged(flags_of):
    turns = (*OPEN, ("agent", "帮您转接售后可以吗？", 20), ("customer", "不要转，就你给我处理", 25), TRANSFER)
    assert any(s == "forced_end.transfer" for s, _ in flags_of(*turns))


def test_the_customer_asked_for_it(flags_of):
    turns = (("agent", "您好", 0), ("customer", "帮我转人工售后", 10), ("agent", "好的，为您转接", 15), TRANSFER)
    assert flags_of(*turns, signals=("forced_end.transfer",)) == []


def test_bot_to_human_is_innocent(flags_of):
    turns = (
        ("bot", "我是智能客服", 0),
        ("customer", "退款", 5),
        ("system", "会话已转接至 人工客服", 8),
        ("agent", "您好，请讲", 12),
    )
    assert flags_of(*turns, signals=("forced_end.transfer",)) == []


PROMISE = (("customer", "什么时候给我答复", 0), ("agent", "今天上午十一点前由我给您回电", 8), ("customer", "好的谢谢", 15))


def test_callback_not_made_by_the_due_time(screener):
    made = conversation(*PROMISE, attributes={"callbacks": [{"promised_turn": 1, "done_at": "2026-03-02T11:30:00+08:00"}]})
    assert ("promise.unkept", 1) in active(screener.screen(made))


def test_callback_in_time_is_kept(screener):
    made = conversation(*PROMISE, attributes={"callbacks": [{"promised_turn": 1, "done_at": "2026-03-02T10:30:00+08:00"}]})
    assert active(screener.screen(made), "promise.unkept") == []


def test_no_due_time_reached_yet(screener):
    made = conversation(*PROMISE, attributes={"callbacks": [{"promised_turn": 1, "done_at": None}]})
    assert active(screener.screen(made), "promise.unkept") == []


def test_customer_says_it_was_not_kept(flags_of):
    turns = (*PROMISE, ("customer", "都下午了，说好的上午回电也没回", 20), ("agent", "非常抱歉", 25))
    assert ("promise.unkept", 1) in flags_of(*turns)


def test_promise_without_callback_record_says_so(screener):
    assert "callbacks" in screener.screen(conversation(*PROMISE)).not_checked


def test_loss_over_the_limit_and_entry_errors(screener):
    screening = screener.screen(conversation(*PROMISE, attributes={"loss_yuan": 3000, "entry_errors": 1}))
    assert ("loss.over_limit", None) in active(screening)
    assert ("entry.error", None) in active(screening)
    assert "A.gross_negligence" in {c.clause for c in screening.candidates}
    below = screener.screen(conversation(*PROMISE, attributes={"loss_yuan": 2999.99}))
    assert active(below, "loss.over_limit") == []
