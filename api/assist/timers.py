"""Wakes running conversations when a limit is about to break or breaks: one heap for all of a process, no task for each."""

import heapq
from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Generic, Protocol, TypeVar

from api.assist.messages import Countdown
from api.clock import SECOND
from screening.detect.conduct.live import Timer

WARN_SHARE = 1 / 3
"""A limit warns when so much of it is left, but no earlier than `WARN_SECONDS` before."""
WARN_SECONDS = 300.0
_JUST_AFTER = 0.001  # a limit is broken beyond it, not at it


class Sleeper(Protocol):
    """What is woken; `alarm` is the heap's own: which of its entries is the present one."""

    alarm: int


_Sleeper = TypeVar("_Sleeper", bound=Sleeper)


class Alarms(Generic[_Sleeper]):
    """Who is to be woken when, in microseconds of the service's clock; each sleeper has one alarm at most."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, _Sleeper]] = []
        self._made = 0

    def set(self, sleeper: _Sleeper, at: int | None) -> None:
        """Wake it then and not at what was set before; None: not at all."""
        self._made += 1
        sleeper.alarm = self._made
        if at is not None:
            heapq.heappush(self._heap, (at, self._made, sleeper))

    def due(self, now: int) -> list[_Sleeper]:
        """Those whose time has come; their alarms are off."""
        found = []
        while self._heap and self._heap[0][0] <= now:
            _, made, sleeper = heapq.heappop(self._heap)
            if sleeper.alarm == made:
                found.append(sleeper)
        return found


def warns_at(timer: Timer) -> float:
    """When a timer begins to warn (POSIX seconds)."""
    return timer.breaks_at - min(WARN_SECONDS, (timer.breaks_at - timer.since) * WARN_SHARE)


def countdowns(timers: Sequence[Timer], now: float, zone: tzinfo) -> tuple[Countdown, ...]:
    """The timers as a desk is told of them at `now` of its own clock (POSIX seconds)."""
    return tuple(
        Countdown(
            kind=timer.kind,
            signal=timer.signal,
            turn=timer.turn,
            state="broken" if now > timer.breaks_at else "warning" if now >= warns_at(timer) else "running",
            since=datetime.fromtimestamp(timer.since, zone),
            warns_at=datetime.fromtimestamp(warns_at(timer), zone),
            breaks_at=datetime.fromtimestamp(timer.breaks_at, zone),
            remaining_seconds=round(timer.breaks_at - now, 3),
            limit_seconds=timer.limit,
            source=timer.source,
            mean_seconds=None if timer.value is None else round(timer.value, 1),
        )
        for timer in timers
    )


def next_change(timers: Sequence[Timer], now: float) -> float | None:
    """When the state of one of the timers changes next (POSIX seconds of the desk's clock)."""
    moments = [moment for timer in timers for moment in (warns_at(timer), timer.breaks_at + _JUST_AFTER) if moment > now]
    return min(moments, default=None)


def clock_time(moment: float, lag: float) -> int:
    """A moment of the desk's clock in microseconds of the service's, which is `lag` seconds ahead."""
    return int((moment + lag) * SECOND) + 1
