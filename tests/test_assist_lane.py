import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.assist import lane as lanes
from api.assist.lane import Lane
from api.assist.policy import WHOLE
from api.engine import NotReadyError, OverloadedError, ScreeningEngine
from api.settings import Settings
from screening.detect.reading import Reading
from screening.errors import InputError
from screening.pipeline import Screener
from screening.profile import Assist, Profile
from screening.types import Conversation, Finding, Turn


class Sleeper:
    """A classifier that takes `seconds` for texts that hold 慢, really sleeping, and adds a flag to every turn that holds 坏."""

    name, version, engine = "sleeper", "sha256:0", "sleep"

    def __init__(self, seconds: float = 30):
        self.seconds = seconds
        self.awake = threading.Event()

    def detect(self, readings: Sequence[Reading], found: Sequence[Sequence[Finding]]) -> list[list[Finding]]:
        if any("慢" in reading.conversation.turns[-1].text for reading in readings):
            self.awake.wait(self.seconds)
        judged = [list(own) for own in found]
        for reading, own in zip(readings, judged, strict=True):
            last = len(reading.conversation.turns) - 1
            if "坏" in reading.conversation.turns[last].text:
                own.append(Finding("shirking", last, None, "model", self.name, 1, "坏", score=0.9))
            if "败" in reading.conversation.turns[last].text:
                raise ValueError("fails")
        return judged


@pytest.fixture
def sleeper() -> Iterator[Sleeper]:
    made = Sleeper()
    yield made
    made.awake.set()


@pytest.fixture
def sleepy(screener: Screener, sleeper: Sleeper) -> Screener:
    return Screener(screener.lexicon, detectors=[sleeper])


def opened(screener: Screener, limit: int = 100) -> Lane:
    engine = ScreeningEngine(lambda: screener, queue_turns=100)
    engine.swap(screener)
    made = Lane(engine, limit=limit)
    made.start()
    return made


def window(text: str) -> Conversation:
    return Conversation(id="c", turns=(Turn("customer", "在吗"), Turn("agent", text)))


def signals(judged: lanes.Judged) -> list[str]:
    return [] if judged.screening is None else [flag.signal for flag in judged.screening.flags]


def test_what_is_not_done_in_time_is_named_and_holds_nobody_up(sleepy: Screener, sleeper: Sleeper) -> None:
    lane = opened(sleepy)

    async def ask() -> None:
        await lane.last_turn(window("热身"), None)
        late = asyncio.create_task(lane.last_turn(window("慢，加我微信"), 1.0))
        await asyncio.sleep(0.05)
        begun = time.perf_counter()
        beside = await lane.last_turn(window("加我微信"), 1.0)  # its rules are done, its classifier waits behind the slow one
        assert time.perf_counter() - begun < sleeper.seconds
        for found in (await late, beside):
            assert found.undone == ("sleeper",)
            assert signals(found) == ["diversion.private_contact"]
            assert found.screening is not None
            assert not found.screening.complete
        sleeper.awake.set()
        after = await lane.last_turn(window("坏"), None)
        assert (after.undone, signals(after)) == ((), ["shirking"])

    asyncio.run(ask())
    lane.close()


def test_a_classifier_that_hangs_is_replaced_and_what_hung_is_answered(
    sleepy: Screener, sleeper: Sleeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "HANGS_SECONDS", 0.5)
    lane = opened(sleepy)

    async def ask() -> None:
        hanging = asyncio.create_task(lane.last_turn(window("慢，加我微信"), None))
        while lane._classifying._busy is None:
            await asyncio.sleep(0.01)
        late = await lane.last_turn(window("加我微信"), 1.0)
        assert late.undone == ("sleeper",)
        given_up = await asyncio.wait_for(hanging, 20)
        assert (given_up.undone, signals(given_up)) == (("sleeper",), ["diversion.private_contact"])
        fresh = await asyncio.wait_for(lane.last_turn(window("坏"), None), 20)
        assert (fresh.undone, signals(fresh)) == ((), ["shirking"])

    asyncio.run(ask())
    sleeper.awake.set()
    lane.close()


def test_a_failing_classifier_is_named(sleepy: Screener) -> None:
    lane = opened(sleepy)

    async def ask() -> None:
        failed, fine = await asyncio.gather(*lane.ask([window("败，加我微信"), window("坏")], None))
        assert (failed.undone, signals(failed)) == (("sleeper",), ["diversion.private_contact"])
        assert (fine.undone, signals(fine)) == ((), ["shirking"])

    asyncio.run(ask())
    lane.close()


def test_without_time_even_the_rules_are_undone(sleepy: Screener) -> None:
    lane = opened(sleepy)

    async def ask() -> None:
        found = await lane.last_turn(window("加我微信"), -1.0)
        assert (found.screening, found.undone) == (None, ("rules", "sleeper"))

    asyncio.run(ask())
    lane.close()


def test_refusals(sleepy: Screener) -> None:
    lane = opened(sleepy, limit=2)

    async def ask() -> None:
        with pytest.raises(OverloadedError, match="the lane holds 2"):
            lane.ask([window("好")] * 3, None)
        with pytest.raises(InputError, match="surrogate"):
            await lane.last_turn(window("\ud800"), None)
        lane.close()
        with pytest.raises(NotReadyError, match="stopping"):
            await lane.last_turn(window("好"), None)

    asyncio.run(ask())


def test_several_threads_give_the_same_bytes(screener: Screener, archive: list[Conversation]) -> None:
    fresh = Screener(screener.lexicon)
    archive = archive[::6]
    expected = [screener.screen(conversation) for conversation in archive]
    found: dict[int, list[object]] = {}
    threads = [threading.Thread(target=lambda k=k: found.update({k: [fresh.screen(c) for c in archive[k::4]]})) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[k] for k in range(4)] == [expected[k::4] for k in range(4)]


@pytest.fixture
def asked(settings: Settings, clock: Callable[[], int], screener: Screener, sleeper: Sleeper) -> Iterator[Callable[..., dict]]:
    """`POST /v1/assist/check` of a service with the sleeping classifier, under an `[assist]` table."""
    from api import access

    engine = ScreeningEngine(lambda: Screener(screener.lexicon, Profile(), [sleeper]), queue_turns=100)
    with TestClient(create_app(settings, clock, engine)) as client:
        store = client.app.state.service.store
        with store.write() as session:
            _, token = access.add_key(
                session, name="k", scopes=["screen"], vendor_id=None, per_minute=None, expires_at=None, by="t", at=clock()
            )

        def ask(draft: str, deadline_ms: int = 20_000, assist: Assist | None = None) -> dict:
            if assist is not None:
                engine.swap(Screener(screener.lexicon, Profile(assist=assist), [sleeper]))
            body = {"conversation": {"id": "c", "turns": []}, "draft": draft, "deadline_ms": deadline_ms}
            return client.post("/v1/assist/check", json=body, headers={"Authorization": f"Bearer {token.shown}"}).json()

        while client.get("/readyz").status_code != 200:
            time.sleep(0.01)
        ask("热身")
        yield ask


@pytest.mark.slow
def test_late_parts_degrade_the_verdict_open_or_closed(asked: Callable[..., dict], sleeper: Sleeper) -> None:
    found = asked("慢，好的", deadline_ms=1000)
    assert (found["verdict"], found["may_send"], found["flags"]) == ("degraded", True, [])
    assert found["not_checked"] == ["sleeper", *WHOLE]
    assert found["timing_ms"] < 15_000  # the deadline and what a busy machine adds, far from the classifier's thirty seconds
    closed = asked("慢，好的", deadline_ms=1000, assist=Assist(fail={"shirking": "closed"}))
    assert (closed["verdict"], closed["may_send"]) == ("degraded", False)
    blocked = asked("慢，加我微信", deadline_ms=10_000, assist=Assist())
    assert (blocked["verdict"], blocked["may_send"]) == ("degraded", False)
    assert [flag["signal"] for flag in blocked["flags"]] == ["diversion.private_contact"]
    assert "sleeper" in blocked["not_checked"]
    assert bool(blocked["suggestions"]) != (
        "suggestions" in blocked["not_checked"]
    )  # screened in what is left of the time, or not
    sleeper.awake.set()
    assert asked("好的")["verdict"] == "pass"
