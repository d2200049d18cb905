"""Time as the service knows it: microseconds since 1970 in UTC, from a clock that tests can turn."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], int]
SECOND = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def system_clock() -> int:
    """Now, in microseconds."""
    return time.time_ns() // 1000


def from_datetime(moment: datetime) -> int:
    """Microseconds of a time with an offset."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def to_datetime(micros: int) -> datetime:
    """The UTC time of stored microseconds."""
    return _EPOCH + timedelta(microseconds=micros)
