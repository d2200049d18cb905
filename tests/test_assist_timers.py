from datetime import UTC

from api.assist.timers import Alarms, clock_time, countdowns, next_change, warns_at
from screening.detect.conduct.live import Timer

FIRST = Timer("first_reply", "response.slow_first", 0, 1000.0, 1060.0, 60.0, "house")
PROMISE = Timer("promise", "promise.unkept", 3, 1000.0, 8200.0)


class Sleeper:
    def __init__(self) -> None:
        self.alarm = 0


def test_who_is_due_is_woken_once_and_at_the_last_time_set() -> None:
    alarms: Alarms[Sleeper] = Alarms()
    early, late, off = Sleeper(), Sleeper(), Sleeper()
    alarms.set(late, 50)
    alarms.set(early, 90)
    alarms.set(early, 20)
    alarms.set(off, 10)
    alarms.set(off, None)
    assert alarms.due(9) == []
    assert alarms.due(40) == [early]
    assert alarms.due(100) == [late]
    assert alarms.due(1000) == []


def test_a_third_of_the_limit_is_left_when_it_warns_but_at_most_five_minutes() -> None:
    assert warns_at(FIRST) == 1040
    assert warns_at(PROMISE) == 8200 - 300


def test_states_follow_the_clock_of_the_desk() -> None:
    states = [countdowns([FIRST], now, UTC)[0].state for now in (1000, 1039.9, 1040, 1060, 1060.1)]
    assert states == ["running", "running", "warning", "warning", "broken"]  # at the limit it is kept
    told = countdowns([FIRST._replace(value=12.345)], 1050.5, UTC)[0]
    assert (told.remaining_seconds, told.mean_seconds, told.limit_seconds) == (9.5, 12.3, 60.0)


def test_the_next_change_is_a_warning_or_a_break() -> None:
    assert next_change([FIRST, PROMISE], 1000) == 1040
    assert next_change([FIRST, PROMISE], 1040) == 1060.001
    assert next_change([FIRST, PROMISE], 1061) == 7900
    assert next_change([FIRST], 1061) is None
    assert clock_time(1040.0, 2.5) == 1_042_500_001
