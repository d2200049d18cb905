import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from api.engine import NotReadyError, OverloadedError, ScreeningEngine
from screening.errors import InputError
from screening.pipeline import Screener
from screening.replay import encode
from screening.types import Conversation, Screening, Turn

RUDE = Conversation(id="rude", turns=(Turn("customer", "在吗"), Turn("agent", "你是傻逼吗")))
LOST = Conversation(id="lost", turns=(Turn("agent", "您好\ud800"),))


class Watched:
    """The real screener, with a gate in front of each batch and a record of the batches."""

    def __init__(self, screener: Screener):
        self._screener = screener
        self.versions = screener.versions
        self.versions_of = screener.versions_of
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[list[str]] = []
        self.poison: str | None = None

    def screen_many(self, conversations: Iterable[Conversation]) -> Iterator[Screening]:
        conversations = list(conversations)
        self.batches.append([c.id for c in conversations])
        self.gate.wait(10)
        if any(c.id == self.poison for c in conversations):
            raise RuntimeError("poisoned")
        return self._screener.screen_many(conversations)

    def screen(self, conversation: Conversation) -> Screening:
        return next(iter(self.screen_many([conversation])))


@pytest.fixture
def watched(screener: Screener) -> Watched:
    return Watched(screener)


def run(watched: Watched, use: Callable[[ScreeningEngine], Any], queue_turns: int = 10_000) -> Any:
    engine = ScreeningEngine(lambda: watched, queue_turns=queue_turns)  # type: ignore[arg-type,return-value]
    engine.start()
    try:
        return asyncio.run(use(engine))
    finally:
        watched.gate.set()
        engine.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def test_the_same_bytes_as_the_core(watched: Watched, screener: Screener, archive: list[Conversation]) -> None:
    async def use(engine: ScreeningEngine) -> None:
        together = await engine.screen_many(archive)
        single = await asyncio.gather(*(engine.screen(conversation) for conversation in archive))
        expected = [encode(screening) for screening in screener.screen_many(archive)]
        assert [encode(one) for one in together if isinstance(one, Screening)] == expected
        assert [encode(one) for one in single] == expected

    run(watched, use)


def test_what_arrives_meanwhile_is_screened_together(watched: Watched) -> None:
    async def use(engine: ScreeningEngine) -> None:
        await engine.screen(RUDE)
        watched.gate.clear()
        first = asyncio.ensure_future(engine.screen(RUDE))
        await until(lambda: len(watched.batches) == 2)
        rest = [asyncio.ensure_future(engine.screen(RUDE)) for _ in range(5)]
        await asyncio.sleep(0.01)  # the event loop is free meanwhile
        assert not first.done()
        watched.gate.set()
        await asyncio.gather(first, *rest)
        assert [len(batch) for batch in watched.batches] == [1, 1, 5]

    run(watched, use)


def test_single_requests_go_before_bulk(watched: Watched) -> None:
    async def use(engine: ScreeningEngine) -> None:
        await engine.screen(RUDE)
        watched.gate.clear()
        held = asyncio.ensure_future(engine.screen(RUDE))
        await until(lambda: len(watched.batches) == 2)
        bulk = asyncio.ensure_future(engine.screen_many([Conversation(f"b{i}", RUDE.turns * 100) for i in range(9)]))
        await asyncio.sleep(0)
        single = asyncio.ensure_future(engine.screen(Conversation("single", RUDE.turns)))
        await asyncio.sleep(0)
        watched.gate.set()
        await asyncio.gather(held, bulk, single)
        assert watched.batches[2][0] == "single"
        assert [len(batch) for batch in watched.batches[3:]] == [3, 3, 3]

    run(watched, use)


def test_a_full_queue_refuses(watched: Watched) -> None:
    async def use(engine: ScreeningEngine) -> None:
        await engine.screen(RUDE)
        watched.gate.clear()
        first = asyncio.ensure_future(engine.screen(RUDE))
        await until(lambda: len(watched.batches) == 2)
        waiting = [asyncio.ensure_future(engine.screen(RUDE)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError, match="4 turns wait already; the queue holds 5"):
            await engine.screen(RUDE)
        with pytest.raises(OverloadedError):
            await engine.screen_many([RUDE])
        watched.gate.set()
        await asyncio.gather(first, *waiting)
        await engine.screen(RUDE)

    run(watched, use, queue_turns=5)


def test_a_poisoned_item_fails_alone(watched: Watched) -> None:
    watched.poison = "poison"
    poison = Conversation("poison", RUDE.turns)

    async def use(engine: ScreeningEngine) -> None:
        good, bad, lost = await engine.screen_many([RUDE, poison, LOST])
        assert isinstance(good, Screening)
        assert good.complete
        assert [flag.signal for flag in good.flags if flag.status == "active"] == ["rudeness.abuse"]
        assert isinstance(bad, Screening)
        assert (bad.complete, bad.not_checked, bad.flags) == (False, ("pipeline",), ())
        assert [(f.detector, f.error) for f in bad.failures] == [("pipeline", "RuntimeError")]
        assert isinstance(lost, InputError)
        with pytest.raises(InputError, match="surrogate"):
            await engine.screen(LOST)

    run(watched, use)


def test_a_screener_that_does_not_open_is_named() -> None:
    def broken() -> Screener:
        raise ValueError("rules/x.toml: rule 'y'")

    engine = ScreeningEngine(broken, queue_turns=10)
    engine.start()

    async def use() -> None:
        with pytest.raises(NotReadyError, match="rule 'y'"):
            await engine.screen(RUDE)

    asyncio.run(use())
    assert "rule 'y'" in (engine.problem or "")
    with pytest.raises(NotReadyError):
        _ = engine.screener
    engine.close()


def test_stopping_finishes_what_waits_and_takes_nothing_new(watched: Watched) -> None:
    async def use(engine: ScreeningEngine) -> None:
        await engine.screen(RUDE)
        watched.gate.clear()
        waiting = [asyncio.ensure_future(engine.screen(RUDE)) for _ in range(3)]
        await until(lambda: len(watched.batches) == 2)
        closing = asyncio.get_running_loop().run_in_executor(None, engine.close)
        await asyncio.sleep(0.01)
        with pytest.raises(NotReadyError, match="stopping"):
            await engine.screen(RUDE)
        watched.gate.set()
        assert [one.conversation_id for one in await asyncio.gather(*waiting)] == ["rude"] * 3
        await closing

    run(watched, use)


def test_another_screener_from_the_next_batch_on(watched: Watched, screener: Screener) -> None:
    other = Watched(screener)

    async def use(engine: ScreeningEngine) -> None:
        await engine.screen(RUDE)
        engine.swap(other)  # type: ignore[arg-type]
        await engine.screen(RUDE)
        assert (len(watched.batches), len(other.batches)) == (1, 1)
        assert engine.screener is other

    run(watched, use)


def test_a_request_that_went_away_holds_nobody_up(watched: Watched) -> None:
    async def use(engine: ScreeningEngine) -> None:
        await engine.screen(RUDE)
        watched.gate.clear()
        first = asyncio.ensure_future(engine.screen(RUDE))
        await until(lambda: len(watched.batches) == 2)
        gone, stays = asyncio.ensure_future(engine.screen(RUDE)), asyncio.ensure_future(engine.screen(RUDE))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        watched.gate.set()
        await asyncio.gather(first, stays)
        assert len(watched.batches[2]) == 1

    run(watched, use)
