"""The desks' own way through the screener: rules in one thread, classifiers in another, so that bulk never holds up a desk and a
classifier that is late is left behind.

What arrives while a batch is judged is judged together next. A classifier that hangs keeps its thread; another takes over, and
what hung is answered by the rules.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import structlog
from prometheus_client import Counter, Histogram

from api.engine import NotReadyError, OverloadedError, ScreeningEngine
from api.overlay.follow import FIRST
from screening.errors import InputError
from screening.pipeline import LastTurn, Screener, Windows
from screening.types import Conversation, Screening

RULES = "rules"
HANGS_SECONDS = 2.0
_MOST = 16
"""Windows of a batch: more are hardly cheaper, and their answers come together, at the end."""
_LOOK_SECONDS = 1.0
_FIRST_WINDOWS = 10
"""From so many short scans on, the vocabulary keeps dictionaries for them."""
_LEFT_BEHIND = 4
"""Threads that may hang at a time; then the classifier is given up until one comes back."""
_log = structlog.get_logger("lane")

LATE = Counter("screening_assist_late", "Answers to desks that lack a part, by the part that was late", ["part"])
WAITED = Histogram(
    "screening_assist_seconds", "From asking to being judged", buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.5)
)


class Judged(NamedTuple):
    """The last turn as far as it was judged, and by whom; None where even the rules were not done. `undone` names what was not."""

    screener: Screener
    turn: LastTurn | None
    undone: tuple[str, ...]

    @property
    def screening(self) -> Screening | None:
        """The turn's flags so far."""
        return None if self.turn is None else self.turn.screening


class _Asked:
    """One last turn to judge. Its future is set once, by whoever comes first: the judges or the deadline."""

    __slots__ = ("by_rules", "conversation", "future", "loop", "number", "since")

    def __init__(self, conversation: Conversation, number: int, loop: asyncio.AbstractEventLoop):
        self.conversation = conversation
        self.number = number
        self.loop = loop
        self.future: asyncio.Future[Judged] = loop.create_future()
        self.by_rules: LastTurn | None = None
        self.since = time.perf_counter()


class _Batch(NamedTuple):
    """What the rules have judged and the classifiers have not."""

    screener: Screener
    windows: Windows
    asked: Sequence[_Asked]


class Lane:
    """Judges the last turns of conversations for coroutines, with the engine's screener of the moment."""

    def __init__(self, engine: ScreeningEngine, *, limit: int):
        self._engine = engine
        self._limit = limit
        self._changed = threading.Condition()
        self._waiting: deque[_Asked] = deque()
        self._classifying = _Classifying()
        self._begun: Screener | None = None
        self._ready: Screener | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="assist-rules", daemon=True)

    def start(self) -> None:
        """Start both threads."""
        self._thread.start()
        self._classifying.start()

    def close(self) -> None:
        """Finish what waits, then end; a thread that hangs is left to the end of the process."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join()
        self._classifying.close()

    @property
    def screener(self) -> Screener:
        """The screener in force; raises `NotReadyError`."""
        return self._engine.screener

    async def last_turn(self, conversation: Conversation, seconds: float | None, number: int | None = None) -> Judged:
        """Judge the last turn within `seconds` (None: however long it takes); `number` is its place in the whole conversation.

        Raises `NotReadyError`, `OverloadedError`, `InputError`.
        """
        (future,) = self.ask([conversation], seconds, number)
        return await future

    def ask(
        self, conversations: Sequence[Conversation], seconds: float | None, number: int | None = None
    ) -> "list[asyncio.Future[Judged]]":
        """`last_turn` of several, in one batch."""
        screener = self.screener
        if self._closing:
            raise NotReadyError("the service is stopping")
        if len(self._waiting) + len(conversations) > self._limit:
            raise OverloadedError(f"{len(self._waiting)} drafts wait already; the lane holds {self._limit}")
        loop = asyncio.get_running_loop()
        asked = [_Asked(c, len(c.turns) - 1 if number is None else number, loop) for c in conversations]
        with self._changed:
            self._waiting.extend(asked)
            self._changed.notify()
        if seconds is not None:
            late = loop.call_later(max(0.0, seconds), self._late, asked, screener)
            asked[-1].future.add_done_callback(lambda _: late.cancel() if all(a.future.done() for a in asked) else None)
        return [own.future for own in asked]

    def _late(self, asked: Sequence[_Asked], screener: Screener) -> None:
        """The deadline: what is there is the answer."""
        for own in asked:
            if not own.future.done():
                own.future.set_result(_unfinished(own, screener))
        self._classifying.leave_behind()

    def _run(self) -> None:
        while asked := self._next():
            screener = self.screener
            try:
                batches = [_Batch(screener, _windows(screener, asked), asked)]
            except Exception:  # one of them is at fault: each by itself
                batches = [batch for own in asked if (batch := _alone(screener, own))]
            for batch in batches:
                for own, turn in zip(batch.asked, screener.by_rules(batch.windows), strict=True):
                    own.by_rules = turn
                if screener.detectors:
                    self._classifying.add(batch)
                else:
                    _deliver([(own, _judged(screener, own.by_rules)) for own in batch.asked])

    def _next(self) -> list[_Asked]:
        with self._changed:
            while True:
                while not self._waiting:
                    if self._closing:
                        return []
                    if not self._warmed():
                        self._changed.wait(_LOOK_SECONDS)
                asked: list[_Asked] = []
                while self._waiting and len(asked) < _MOST:
                    own = self._waiting.popleft()
                    if not own.future.done():
                        asked.append(own)
                if asked:
                    return asked

    def _warmed(self) -> bool:
        """Whether something of a new screener was made ready while nobody waits; called with the lock, which it lets go meanwhile."""
        try:
            screener = self._engine.screener
        except NotReadyError:
            return False
        if screener is self._ready:
            return False
        self._changed.release()
        try:
            if self._begun is not screener:
                for _ in range(_FIRST_WINDOWS):
                    screener.windows([FIRST])
                self._begun = screener
            elif screener.vocabulary.compile(lambda: not (self._waiting or self._closing)):
                self._ready = screener
        except Exception as error:  # whoever needs what is broken is told then
            _log.error("not_made_ready", error=type(error).__name__)
            self._ready = screener
        finally:
            self._changed.acquire()
        return True


class _Classifying:
    """The classifiers' thread with its queue; replaced by another thread where it hangs."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._batches: deque[_Batch] = deque()
        self._generation = 0
        self._hanging = 0
        self._busy: tuple[float, _Batch] | None = None
        self._closing = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread of the present generation."""
        self._thread = threading.Thread(
            target=self._run, args=(self._generation,), name=f"assist-classifier-{self._generation}", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Finish what waits, unless the classifier hangs."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(HANGS_SECONDS)

    def add(self, batch: _Batch) -> None:
        """One more batch; those that nobody waits for any more are dropped."""
        with self._changed:
            while self._batches and _given_up(self._batches[0]):
                self._batches.popleft()
            self._batches.append(batch)
            self._changed.notify()

    def leave_behind(self) -> None:
        """Where the thread has been at one batch for too long, go on with a new one."""
        with self._changed:
            if self._busy is None or time.perf_counter() - self._busy[0] < HANGS_SECONDS or self._hanging >= _LEFT_BEHIND:
                return
            _, batch = self._busy
            self._busy = None
            self._hanging += 1
            self._generation += 1
        _log.error("classifier_hangs", windows=len(batch.asked), seconds=HANGS_SECONDS, hanging=self._hanging)
        _deliver([(own, _unfinished(own, batch.screener)) for own in batch.asked])
        self.start()

    def _run(self, generation: int) -> None:
        while batch := self._next(generation):
            try:
                turns = batch.screener.classified(batch.windows)
                answers = [(own, _judged(batch.screener, turn)) for own, turn in zip(batch.asked, turns, strict=True)]
            except Exception as error:  # a detector's failure is told in the screening; this is the pipeline's own
                _log.error("classifying_failed", error=type(error).__name__)
                answers = [(own, _unfinished(own, batch.screener)) for own in batch.asked]
            _deliver(answers)
            with self._changed:
                if generation != self._generation:
                    self._hanging -= 1
                    return
                self._busy = None

    def _next(self, generation: int) -> _Batch | None:
        with self._changed:
            while generation == self._generation:
                while self._batches:
                    batch = self._batches.popleft()
                    if not _given_up(batch):
                        self._busy = time.perf_counter(), batch
                        return batch
                if self._closing:
                    break
                self._changed.wait()
            return None


def _windows(screener: Screener, asked: Sequence[_Asked]) -> Windows:
    return screener.windows([own.conversation for own in asked], [own.number for own in asked])


def _alone(screener: Screener, own: _Asked) -> _Batch | None:
    try:
        return _Batch(screener, _windows(screener, [own]), [own])
    except Exception as error:
        refusal: Judged | InputError
        if isinstance(error, InputError):
            refusal = error
        else:
            _log.error("judging_failed", error=type(error).__name__)
            refusal = _unfinished(own, screener)
        _deliver([(own, refusal)])
        return None


def _given_up(batch: _Batch) -> bool:
    return all(own.future.done() for own in batch.asked)


def _judged(screener: Screener, turn: LastTurn | None) -> Judged:
    assert turn is not None
    return Judged(screener, turn, tuple(failure.detector for failure in turn.screening.failures))


def _unfinished(own: _Asked, screener: Screener) -> Judged:
    """What is known of a turn before everybody has judged it."""
    classifiers = tuple(detector.name for detector in screener.detectors)
    turn = own.by_rules
    if turn is None:
        LATE.labels(RULES).inc()
        return Judged(screener, None, (RULES, *classifiers))
    for name in classifiers:
        LATE.labels(name).inc()
    failed = _judged(screener, turn).undone
    return Judged(screener, turn, tuple(dict.fromkeys((*failed, *classifiers))))


def _deliver(answers: Sequence[tuple[_Asked, Judged | InputError]]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Asked, Judged | InputError]]] = {}
    for answer in answers:
        by_loop.setdefault(answer[0].loop, []).append(answer)
    for loop, theirs in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_set, theirs)


def _set(answers: Sequence[tuple[_Asked, Judged | InputError]]) -> None:
    now = time.perf_counter()
    for own, answer in answers:
        WAITED.observe(now - own.since)
        if own.future.done():
            continue  # late, or nobody waits any more
        if isinstance(answer, InputError):
            own.future.set_exception(answer)
        else:
            own.future.set_result(answer)
