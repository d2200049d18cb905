"""What runs in a conversation: timers, drafts, ends that are stored, and the cost of a turn."""

import sys
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from api.assist.messages import About, End, TurnMessage
from api.assist.running import Running, turn_of
from api.overlay.follow import FIRST
from screening.detect.conduct.live import LiveCourse
from screening.pipeline import Screener
from screening.types import Turn
from tests.benchmarks.assist_stream import memory
from tests.conftest import START, TurnedClock
from tests.ruling import small_screener
from tests.streaming import desk


@pytest.fixture(autouse=True, scope="module")
def _warm(screener: Screener) -> None:
    screener.screen(FIRST)


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat()


def kinds(message: dict[str, Any]) -> dict[str, str]:
    return {timer["kind"]: timer["state"] for timer in message["timers"]}


def test_a_limit_warns_before_it_breaks_and_ends_with_the_answer(client, as_key, clock: TurnedClock) -> None:
    with desk(client, as_key("screen")) as own:
        own.turn("c1", "customer", "我的快递怎么还没到", at=at(0))
        timer = own.hear("timer")
        assert kinds(timer) == {"first_reply": "running", "mean_reply": "running"}
        first = next(one for one in timer["timers"] if one["kind"] == "first_reply")
        assert (first["turn"], first["since"], first["breaks_at"], first["warns_at"]) == (0, at(0), at(60), at(40))
        assert (first["remaining_seconds"], first["limit_seconds"], first["source"]) == (60.0, 60.0, "tencent-zhongchuang")
        clock.turn(seconds=21)
        assert kinds(own.hear("timer")) == {"first_reply": "running", "mean_reply": "warning"}
        clock.turn(seconds=20)
        assert kinds(own.hear("timer")) == {"first_reply": "warning", "mean_reply": "broken"}
        own.say("typing", conversation="c1", role="agent")
        assert own.hear("timer")["agent_typing"]
        clock.turn(seconds=20)
        broken = own.hear("timer")
        assert (kinds(broken)["first_reply"], broken["agent_typing"]) == ("broken", False)
        late = own.turn("c1", "agent", "您好，在的", at=at(62))
        assert [flag["signal"] for flag in late["flags"]] == ["response.slow_first"]
        assert own.hear("timer")["timers"] == []


def test_the_clock_of_the_desk_counts_not_ours(client, as_key, clock: TurnedClock) -> None:
    """A desk that is wrong by years counts right; one that sends late is not given more time."""
    with desk(client, as_key("screen")) as own:
        own.turn("c1", "customer", "在吗", at=at(0))
        own.hear("timer")
        clock.turn(seconds=10)
        own.turn("c1", "customer", "人呢", at=at(10))
        own.turn("c1", "customer", "有人吗", at=at(10))  # nothing changed, nothing is told
        clock.turn(seconds=31)
        timer = own.hear("timer")
        assert next(one for one in timer["timers"] if one["kind"] == "first_reply")["remaining_seconds"] == 19.0


def test_promises_and_holds_are_timed_and_what_is_open_at_the_end_is_told(client, as_key, clock: TurnedClock) -> None:
    with desk(client, as_key("screen")) as own:
        own.turn("c1", "customer", "我的快递怎么还没到", at=at(0))
        own.turn("c1", "agent", "请您稍等，我帮您查一下，核实后30分钟内给您回电", at=at(10))
        timers = {one["kind"]: one for one in own.hear("timer")["timers"]} or {
            one["kind"]: one for one in own.hear("timer")["timers"]
        }
        while "promise" not in timers:
            timers = {one["kind"]: one for one in own.hear("timer")["timers"]}
        assert timers["promise"]["breaks_at"] == at(1810)
        assert timers["promise"]["warns_at"] == at(1510)
        assert timers["hold"]["breaks_at"] >= at(70)
        ended = own.end("c1", ended_by="customer")
        assert ended["promises"] == [{"turn": 1, "due_at": at(1810)}]


def test_without_times_nothing_is_counted_and_that_is_said(client, as_key) -> None:
    with desk(client, as_key("screen")) as own:
        assert own.turn("c1", "customer", "在吗")["not_checked"] == ["timing"]
        assert own.turn("c1", "agent", "在的", at=at(1))["not_checked"] == ["timing"]
        own.end("c1")
        assert own.told("timer") == []


def test_a_draft_is_judged_in_its_context(client, as_key) -> None:
    with desk(client, as_key("screen")) as own:
        of = own.say("draft", conversation="new", text="您好，请问有什么可以帮您")
        assert own.hear("verdict", of=of)["verdict"]["verdict"] == "pass"
        own.turn("c1", "customer", "能便宜点吗")
        of = own.say("draft", conversation="c1", text="你是不是脑子有病", deadline_ms=20_000)
        answer = own.hear("verdict", of=of)
        assert (answer["conversation"], answer["verdict"]["verdict"], answer["verdict"]["may_send"]) == ("c1", "block", False)
        assert answer["verdict"]["flags"][0]["signal"] == "rudeness.abuse"
        assert own.turn("c1", "agent", "您好")["turn"] == 1  # a draft is no turn


def test_the_context_of_a_draft_is_the_last_eight_turns_judged_or_not() -> None:
    running = Running("c1", "s", About())
    for i in range(20):
        message = TurnMessage(i + 1, "c1", "customer", f"第{i}句")
        number = running.take(turn_of(message))
        running.judged(number, turn_of(message), frozenset(), 2)
    assert [turn.text for turn in running.before_draft().turns] == [f"第{i}句" for i in range(12, 20)]


def test_an_end_may_store_the_conversation(client, as_key) -> None:
    with desk(client, as_key("screen")) as own:
        own.turn("c1", "agent", "您好")
        error = own.hear("error", of=own.say("end", conversation="c1", store=True))
        assert (error["code"], "ingest" in error["message"]) == ("forbidden", True)
        assert own.end("c1")["kept"] is None
    headers = as_key("screen", "ingest", "read", "raw", vendor="v1")
    with desk(client, headers) as own:
        for outcome in ("created", "unchanged"):
            own.turn("c1", "customer", "能便宜点吗", at=at(0), about={"agent_id": "a7", "attributes": {"queue_seconds": 4}})
            own.turn("c1", "agent", "加我微信，便宜一百", at=at(9))
            ended = own.end("c1", store=True, ended_by="agent", ended_at=at(20), attributes={"solved": True})
            assert (ended["kept"]["outcome"], ended["kept"]["revision"]) == (outcome, 1)
    stored = client.get("/v1/conversations/c1", headers=headers).json()
    assert stored["screening"] == ended["screening"]
    assert (stored["conversation"]["vendor_id"], stored["conversation"]["ended_by"]) == ("v1", "agent")
    assert stored["conversation"]["attributes"] == {"queue_seconds": 4, "solved": True}
    posted = client.post("/v1/conversations", headers=headers, json=stored["conversation"])
    assert posted.json()["outcome"] == "unchanged"
    other = as_key("screen", "ingest", vendor="v2")
    with desk(client, other) as own:
        own.turn("c1", "agent", "您好")
        error = own.hear("error", of=own.say("end", conversation="c1", store=True))
        assert error["code"] == "id_taken"
        assert own.end("c1")["kept"] is None  # the conversation was not lost: it may still end


def test_a_store_that_is_away_leaves_the_conversation_open(client, as_key, service) -> None:
    with desk(client, as_key("screen", "ingest")) as own:
        own.turn("c1", "agent", "您好")
        with service.store.write() as session:
            session.execute(text("ALTER TABLE conversations RENAME TO gone"))
        error = own.hear("error", of=own.say("end", conversation="c1", store=True))
        assert error["code"] == "store_unavailable"
        with service.store.write() as session:
            session.execute(text("ALTER TABLE gone RENAME TO conversations"))
        assert own.end("c1", store=True)["kept"]["outcome"] == "created"


def test_no_text_stands_in_the_log(client, as_key, capfd) -> None:
    with desk(client, as_key("screen")) as own:
        own.turn("c1", "agent", "绝密文字")
        own.raw('{"type":"turn","seq":2,"conversation":"绝密文字","role":"绝密文字","text":"绝密文字"}')
        own.hear("error")
        own.seq = 2
        own.end("c1")
    out, err = capfd.readouterr()
    assert "绝密文字" not in out + err


def calls(work: Any) -> int:
    """Calls of functions, ours and the interpreter's: a count that no busy machine changes."""
    counted: Counter[str] = Counter()
    sys.setprofile(lambda _frame, event, _arg: counted.update((event,)))
    try:
        work()
    finally:
        sys.setprofile(None)
    return counted["call"] + counted["c_call"]


def test_the_last_of_400_turns_costs_what_the_tenth_does(screener: Screener) -> None:
    said = [
        ("customer", "我的快递怎么还没到，单号是 73500012345"),
        ("agent", "请您稍等，我帮您查一下"),
        ("customer", "好的"),
        ("agent", "在路上了，请放心"),
    ]
    running = Running("c1", "s", About())
    cost: list[Any] = []
    characters: list[int] = []

    def judge(turn: Turn, number: int) -> None:
        window = running.window(turn, screener.reach)
        characters.append(sum(len(own.text) for own in window.turns))
        (judged,) = screener.classified(screener.windows([window], [number]))
        running.course, _, running.timers = screener.follow(window, judged, running.course)
        running.judged(number, turn, judged.seen.kinds, screener.reach)

    for i in range(400):
        role, words = said[i % 4]
        turn = Turn(role, words, at=START + timedelta(seconds=5 * i))
        number = running.take(turn)
        measured = 10 <= i < 22 or 386 <= i < 398
        work = partial(judge, turn, number)
        cost.append(calls(work) if measured else work())
    late = [cost[i] for i in range(386, 398)]
    early = [cost[i] for i in range(10, 22)]
    assert max(characters[10:]) == max(characters[10:22])
    assert sum(late) <= sum(early) * 1.02
    assert len(running.whole(End(1, "c1")).turns) == 400
    assert running.course.turns == 400
    assert isinstance(running.course, LiveCourse)


def test_a_running_conversation_takes_little_memory() -> None:
    assert memory(50, small_screener()) < 20 * 1024
