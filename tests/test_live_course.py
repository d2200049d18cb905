"""A running conversation breaks the limits on time exactly where the detectors find it in what was said so far."""

from collections.abc import Sequence
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screening.detect.conduct.detector import ConductDetector
from screening.detect.conduct.live import LiveCourse, Timer
from screening.detect.reading import Batch
from screening.pipeline import Screener
from screening.profile import Override, Profile
from screening.types import Conversation, Finding, Turn
from tests.conftest import START, conversation

TIMED = ("first-reply", "unattended-emotion", "hold-overrun", "dead-air", "talk-over")
AT = START.timestamp()


def followed(screener: Screener, whole: Conversation, conduct: ConductDetector) -> list[tuple[LiveCourse, list[Finding]]]:
    """What each turn breaks, from a window of that turn alone."""
    course, steps = LiveCourse(whole.channel), []
    for i, turn in enumerate(whole.turns):
        window = msgspec.structs.replace(whole, turns=(turn,))
        (reading,) = Batch([window], screener.vocabulary, [i]).readings()
        course, found = conduct.follow(course, conduct.seen(reading))
        steps.append((course, found))
    return steps


def so_far(screener: Screener, whole: Conversation, conduct: ConductDetector) -> list[list[Finding]]:
    """What the detectors find on the last turn of every beginning of the conversation, where a human answered."""
    found = []
    for i in range(len(whole.turns)):
        begun = msgspec.structs.replace(whole, turns=whole.turns[: i + 1], ended_at=None, ended_by=None)
        (reading,) = Batch([begun], screener.vocabulary).readings()
        (last,) = Batch([msgspec.structs.replace(begun, turns=begun.turns[-1:])], screener.vocabulary, [i]).readings()
        findings = conduct.detect(reading)[0] if conduct.seen(last).human or begun.channel == "phone" else []
        human = conduct.seen(last).human
        kinds = TIMED if human else ("dead-air", "talk-over")
        found.append([f for f in findings if f.turn == i and f.id in kinds])
    return found


def in_order(findings: Sequence[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda f: (f.id, f.why))


@pytest.fixture(scope="module")
def conduct(screener: Screener) -> ConductDetector:
    return ConductDetector(screener.lexicon, screener.profile)


@pytest.fixture(scope="module")
def strict(screener: Screener) -> ConductDetector:
    """Limits so short that most conversations break some."""
    channels = ("online", "phone", "email", "social")
    short = [
        ("response.slow_first", 5),
        ("response.slow", 4),
        ("response.unattended_emotion", 6),
        ("process.hold_unannounced", 8),
    ]
    overrides = tuple(Override(signal, channels, value) for signal, value in short)
    return ConductDetector(screener.lexicon, Profile(overrides=overrides))


@pytest.mark.slow
def test_the_archive_turn_by_turn(screener: Screener, archive: list[Conversation], strict: ConductDetector) -> None:
    broken = 0
    for whole in archive[::2]:
        for (_, found), wanted in zip(followed(screener, whole, strict), so_far(screener, whole, strict), strict=True):
            assert in_order(found) == in_order(wanted), whole.id
            broken += len(found)
    assert broken > 50


SAID = {
    "customer": ("我的快递怎么还没到", "你们太气人了，我要投诉", "不行，我不等", "我要转人工", "好的", "你说话不算数"),
    "agent": (
        "您好，请稍等，我帮您查一下",
        "嗯",
        "已经帮您登记了，请放心",
        "请您稍等两分钟",
        "您好，当前咨询人数较多，请您耐心等待",
    ),
    "bot": ("您好，我是智能客服",),
    "system": ("客服已接入",),
}
turns = st.lists(
    st.sampled_from([(role, text) for role, texts in SAID.items() for text in texts]).flatmap(
        lambda said: st.tuples(st.just(said), st.integers(0, 40), st.sampled_from((None, None, -1, 2, 9)))
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=30)
@given(turns, st.sampled_from(("online", "phone")), st.integers(0, 40))
def test_any_course_turn_by_turn(screener: Screener, strict: ConductDetector, said, channel: str, odd: int) -> None:
    at, made = START, []
    for number, ((role, text), pause, speaks) in enumerate(said):
        at += timedelta(seconds=pause)
        ends = at + timedelta(seconds=speaks) if speaks is not None and channel == "phone" else None
        no_time = (role == "system" and odd % 2 == 0) or number == odd
        made.append(Turn(role, text, at=None if no_time else at, ends_at=ends))
    whole = Conversation(id="c", turns=tuple(made), channel=channel)
    for (_, found), wanted in zip(followed(screener, whole, strict), so_far(screener, whole, strict), strict=True):
        assert in_order(found) == in_order(wanted)


def timers(screener: Screener, conduct: ConductDetector, *said: tuple, **fields: object) -> dict[str, Timer]:
    course = followed(screener, conversation(*said, **fields), conduct)[-1][0]
    return {timer.kind: timer for timer in conduct.timers(course)}


def test_a_first_reply_counts_down_from_the_first_word_and_ends_with_the_answer(screener, conduct) -> None:
    running = timers(screener, conduct, ("customer", "在吗", 0), ("customer", "我的快递呢", 20))
    assert (running["first_reply"].since, running["first_reply"].breaks_at) == (AT, AT + 60)
    assert (running["first_reply"].limit, running["first_reply"].source) == (60, "tencent-zhongchuang")
    assert timers(screener, conduct, ("customer", "在吗", 0), ("agent", "您好，在的", 20)) == {}


def test_after_a_bot_it_counts_from_the_wish_for_a_human(screener, conduct) -> None:
    said = [("bot", "我是智能客服", 0), ("customer", "快递没到", 5), ("customer", "转人工", 30)]
    assert timers(screener, conduct, *said)["first_reply"].breaks_at == AT + 90


def test_the_mean_breaks_later_the_faster_the_answers_were(screener, conduct) -> None:
    said = [("customer", "在吗", 0), ("agent", "在的", 10), ("customer", "我的快递呢", 100)]
    mean = timers(screener, conduct, *said)["mean_reply"]
    assert (mean.value, mean.breaks_at) == (10, AT + 100 + 50)


def test_a_hold_stops_the_clock_of_the_mean_until_it_is_overrun(screener, conduct) -> None:
    said = [("customer", "我的快递呢", 0), ("agent", "请您稍等，我帮您查一下", 5), ("customer", "好的", 8)]
    running = timers(screener, conduct, *said)
    assert running["hold"].breaks_at == AT + 65
    assert running["mean_reply"].breaks_at == AT + 65  # two waits may last 60 s, of which 5 are used; inside the hold none counts
    rejected = timers(screener, conduct, *said[:2], ("customer", "不行，我不等", 8))
    assert rejected["mean_reply"].breaks_at == AT + 8 + 55


def test_a_wait_with_a_time_named_may_last_so_long(screener, conduct) -> None:
    running = timers(screener, conduct, ("customer", "我的快递呢", 0), ("agent", "请您稍等三分钟，我帮您查一下", 5))
    assert running["hold"].breaks_at == AT + 5 + 180


def test_an_upset_customer_is_counted_from_the_first_angry_turn(screener, strict) -> None:
    said = [
        ("customer", "在吗", 0),
        ("agent", "在的", 1),
        ("customer", "你们太气人了，我要投诉", 9),
        ("customer", "气死我了", 11),
    ]
    assert timers(screener, strict, *said)["upset"].breaks_at == AT + 9 + 6


def test_a_promise_is_due_when_it_says(screener, conduct) -> None:
    said = [("customer", "我的快递呢", 0), ("agent", "我核实后30分钟内给您回电", 5)]
    assert timers(screener, conduct, *said)["promise"].breaks_at == AT + 5 + 1800


@pytest.mark.parametrize("second", [None, -5])
def test_without_sound_times_nothing_is_counted(screener, conduct, second) -> None:
    said = [("customer", "在吗", 0), ("customer", "人呢") if second is None else ("customer", "人呢", second)]
    course = followed(screener, conversation(*said), conduct)[-1][0]
    assert not course.timed
    assert conduct.timers(course) == []


def test_a_late_turn_is_flagged_with_its_words(screener: Screener) -> None:
    whole = conversation(("customer", "在吗", 0), ("agent", "你是不是脑子有病", 200))
    course, flags = LiveCourse("online"), []
    for i in range(2):
        window = msgspec.structs.replace(whole, turns=whole.turns[: i + 1])
        (turn,) = screener.classified(screener.windows([window]))
        course, screening, _ = screener.follow(window, turn, course)
        flags.append([(flag.signal, flag.turn) for flag in screening.flags])
    assert flags == [[], [("response.slow_first", 1), ("rudeness.abuse", 1)]]
    assert screening.level == "A"
    assert screening.complete
