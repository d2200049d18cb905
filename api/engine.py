"""One screening thread a process: what arrives while a batch is screened is screened together next.

A batch of sixteen costs a fifth of sixteen single runs, so the load itself makes the batches; a lone request never waits for
company. Requests for one conversation go before bulk, and bulk is cut so that it holds nobody up for long.
"""

import asyncio
import gc
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import structlog
from prometheus_client import Counter, Gauge, Histogram

from screening.errors import InputError
from screening.pipeline import Screener
from screening.types import Conversation, Failure, Screening

BULK_TURNS = 512
BATCH_TURNS = 4096
_SWITCH_SECONDS = 0.0005  # the event loop waits at most so long for the screening thread to let go of the interpreter

Result = Screening | InputError
_log = structlog.get_logger("engine")

BATCH_SIZE = Histogram("screening_batch_conversations", "Conversations screened together", buckets=(1, 2, 4, 8, 16, 32, 64, 128))
BATCH_SECONDS = Histogram(
    "screening_batch_seconds", "Time of one batch", buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 2)
)
SCREENED = Counter("screening_conversations", "Conversations screened", ["result"])
FLAGS = Counter("screening_flags", "Flags found", ["signal", "status"])
FAILURES = Counter("screening_failures", "Parts of screenings that failed", ["detector"])
QUEUE_TURNS = Gauge("screening_queue_turns", "Turns that wait to be screened")


class NotReadyError(RuntimeError):
    """There is no screener (yet); the message says why."""


class OverloadedError(RuntimeError):
    """More waits than the queue may hold; try again later."""


class _Work(NamedTuple):
    conversations: Sequence[Conversation]
    turns: int
    future: "asyncio.Future[list[Result]]"
    loop: asyncio.AbstractEventLoop


class ScreeningEngine:
    """Screens for coroutines. `open_screener` runs in the screening thread; until it is done, requests wait in the queue."""

    def __init__(self, open_screener: Callable[[], Screener], *, queue_turns: int):
        self._open = open_screener
        self._limit = queue_turns
        self._waiting: deque[_Work] = deque()
        self._bulk: deque[_Work] = deque()
        self._turns = 0
        self._changed = threading.Condition()
        self._closing = False
        self._screener: Screener | None = None
        self.problem: str | None = "the lexicon is being loaded"
        self._thread = threading.Thread(target=self._run, name="screening", daemon=True)

    def start(self) -> None:
        """Start the screening thread."""
        sys.setswitchinterval(_SWITCH_SECONDS)
        self._thread.start()

    def close(self) -> None:
        """Finish what waits, then end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def screener(self) -> Screener:
        """The screener in force; raises `NotReadyError`. Only its versions and lexicon are for others than this thread."""
        if self._screener is None:
            raise NotReadyError(self.problem or "there is no screener")
        return self._screener

    def swap(self, screener: Screener) -> None:
        """Take another screener from the next batch on."""
        self._screener = screener
        self.problem = None

    async def screen(self, conversation: Conversation) -> Screening:
        """The screening of one conversation; raises `InputError`, `OverloadedError`, `NotReadyError`."""
        (result,) = await self._enqueue([conversation], len(conversation.turns), self._waiting)
        if isinstance(result, InputError):
            raise result
        return result

    async def screen_many(self, conversations: Sequence[Conversation]) -> list[Result]:
        """One screening, or the reason why there is none, for each conversation in order."""
        pieces: list[list[Conversation]] = []
        turns = BULK_TURNS
        for conversation in conversations:
            if turns >= BULK_TURNS:
                pieces.append([])
                turns = 0
            pieces[-1].append(conversation)
            turns += len(conversation.turns)
        self._refuse_more_than(sum(len(c.turns) for c in conversations))
        done = [self._enqueue(piece, sum(len(c.turns) for c in piece), self._bulk) for piece in pieces]
        return [result for piece in await asyncio.gather(*done) for result in piece]

    def _refuse_more_than(self, turns: int) -> None:
        if self._closing:
            raise NotReadyError("the service is stopping")
        if self._screener is None and not self._thread.is_alive():
            raise NotReadyError(self.problem or "there is no screener")
        if self._turns and self._turns + turns > self._limit:  # an empty queue takes whatever the limits on input allow
            raise OverloadedError(f"{self._turns} turns wait already; the queue holds {self._limit}")

    def _enqueue(self, conversations: Sequence[Conversation], turns: int, into: deque[_Work]) -> "asyncio.Future[list[Result]]":
        if into is self._waiting:
            self._refuse_more_than(turns)
        loop = asyncio.get_running_loop()
        work = _Work(conversations, turns, loop.create_future(), loop)
        with self._changed:
            into.append(work)
            self._turns += turns
            QUEUE_TURNS.set(self._turns)
            self._changed.notify()
        return work.future

    def _run(self) -> None:
        try:
            self._screener = self._open()
            self.problem = None
        except Exception as error:
            self.problem = f"the screener cannot be opened: {error}"
            _log.error("screener_failed", error=type(error).__name__, reason=str(error))
        gc.collect()
        gc.freeze()  # the lexicon stays for good: collections need not look at it
        while batch := self._next():
            self._answer(batch)

    def _next(self) -> list[_Work]:
        with self._changed:
            while not (self._waiting or self._bulk):
                if self._closing:
                    return []
                self._changed.wait()
            batch: list[_Work] = []
            turns = 0
            for queue, limit in ((self._waiting, BATCH_TURNS), (self._bulk, BULK_TURNS)):
                while queue and (not batch or turns + queue[0].turns <= limit):
                    batch.append(queue.popleft())
                    turns += batch[-1].turns
            self._turns -= turns
            QUEUE_TURNS.set(self._turns)
            return batch

    def _answer(self, batch: Sequence[_Work]) -> None:
        live = [work for work in batch if not work.future.cancelled()]
        if self._screener is None:
            error = NotReadyError(self.problem or "there is no screener")
            _deliver([(work, error) for work in live])
            return
        conversations = [conversation for work in live for conversation in work.conversations]
        with BATCH_SECONDS.time():
            results = screened(self._screener, conversations)
        BATCH_SIZE.observe(len(results))
        at = 0
        answers: list[tuple[_Work, list[Result] | NotReadyError]] = []
        for work in live:
            answers.append((work, results[at : at + len(work.conversations)]))
            at += len(work.conversations)
        _deliver(answers)


def screened(screener: Screener, conversations: Sequence[Conversation]) -> list[Result]:
    """A screening for each conversation, or the `InputError` that refuses it. One that breaks the pipeline breaks it alone:
    its screening is incomplete and goes to a person.
    """
    try:
        results: list[Result] = list(screener.screen_many(conversations))
    except Exception:  # one of them is at fault: each by itself
        results = [_alone(screener, conversation) for conversation in conversations]
    _count(results)
    return results


def _alone(screener: Screener, conversation: Conversation) -> Result:
    try:
        return screener.screen(conversation)
    except InputError as error:
        return error
    except Exception as error:
        _log.error("screening_failed", error=type(error).__name__)
        failure = Failure("pipeline", type(error).__name__)
        return Screening(
            conversation.id, False, ("pipeline",), (), (), None, screener.versions_of(conversation.vendor_id), (failure,)
        )


def _count(results: Sequence[Result]) -> None:
    for result in results:
        if isinstance(result, InputError):
            SCREENED.labels("refused").inc()
            continue
        SCREENED.labels("complete" if result.complete else "incomplete").inc()
        for flag in result.flags:
            FLAGS.labels(flag.signal, flag.status).inc()
        for failure in result.failures:
            FAILURES.labels(failure.detector).inc()


def _deliver(answers: Sequence[tuple[_Work, list[Result] | NotReadyError]]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Work, list[Result] | NotReadyError]]] = {}
    for work, answer in answers:
        by_loop.setdefault(work.loop, []).append((work, answer))
    for loop, theirs in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_set, theirs)


def _set(answers: Sequence[tuple[_Work, list[Result] | NotReadyError]]) -> None:
    for work, answer in answers:
        if work.future.done():
            continue  # nobody waits any more
        if isinstance(answer, NotReadyError):
            work.future.set_exception(answer)
        else:
            work.future.set_result(answer)
