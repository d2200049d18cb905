"""Late answers: the first human reply, the mean reply, and the silence after an upset customer turn.

A reply is timed from the first unanswered customer turn to the next human agent turn; bots and automatic replies do not
count; time inside a hold that was announced and kept does not count (CONTRACT.md, signals response.*).
"""

from collections.abc import Iterator, Sequence

from screening.detect.conduct.course import Course, over_limit
from screening.profile import Limit
from screening.types import Finding

HOLD_SIGNAL = "process.hold_unannounced"
_DEFAULT_HOLD = 60.0


def kept_holds(course: Course) -> list[tuple[float, float]]:
    """Intervals of holds that the agent announced, the customer did not reject, and that ended in time."""
    if course.times is None:
        return []
    announced = [i for i in course.showing("agent", "hold") if course.human_reply(i)]
    allowed = longest_hold(course.limit(HOLD_SIGNAL) if announced else ())
    holds = []
    for i in announced:
        back = course.next_reply(i)
        if back is None or course.times[back] - course.times[i] > allowed:
            continue
        rejected = any(course.roles[j] == "customer" and course.reading.has(j, "objection") for j in range(i + 1, back))
        if not rejected:
            holds.append((course.times[i], course.times[back]))
    return holds


def longest_hold(limits: Sequence[Limit]) -> float:
    """Seconds that a hold may last and still count as kept."""
    return limits[0].value if limits else _DEFAULT_HOLD


def outside(start: float, end: float, holds: Sequence[tuple[float, float]]) -> float:
    """Seconds from start to end without those in holds."""
    return end - start if not holds else (end - start) - sum(max(0.0, min(end, b) - max(start, a)) for a, b in holds)


def reply_gaps(course: Course) -> list[tuple[int, int, float]]:
    """(customer turn, replying agent turn, seconds outside kept holds) for every answered stretch of customer turns."""
    if course.times is None:
        return []
    holds, humans = kept_holds(course), course.humans()
    gaps = []
    waiting: int | None = None
    for i, role in enumerate(course.roles):
        if role == "customer" and waiting is None:
            waiting = i
        elif waiting is not None and i in humans:
            start, end = course.times[waiting], course.times[i]
            seconds = gap(start, end, holds)
            if seconds is not None:
                gaps.append((waiting, i, seconds))
            waiting = None
    return gaps


def gap(start: float, end: float, holds: Sequence[tuple[float, float]]) -> float | None:
    """Seconds that a customer waited outside holds; None where all of it was a hold."""
    seconds = outside(start, end, holds)
    return max(0.0, seconds) if seconds > 0 or end == start else None


def first_response(course: Course) -> tuple[float, int | None] | None:
    """When the customer began to wait for a human (POSIX seconds) and the turn that answered; None without customer or times.

    After a bot, the wait begins where the customer asks for a human.
    """
    anchor = next(course.turns_of("customer"), None)
    if anchor is None or course.times is None:
        return None
    reply = course.next_reply(anchor)
    stop = len(course.roles) if reply is None else reply
    if any(course.roles[i] == "bot" for i in range(stop)):
        wanted = [i for i in range(anchor, stop) if course.roles[i] == "customer" and course.reading.has(i, "transfer_wanted")]
        anchor = wanted[0] if wanted else anchor
    return course.times[anchor], reply


def first_reply(course: Course) -> list[Finding]:
    """`response.slow_first`, on the late agent turn, or on the last turn when no reply came."""
    limits = course.limit("response.slow_first")
    waited = first_response(course) if limits else None
    if waited is None or course.times is None or course.ended is None:
        return []
    start, reply = waited
    if reply is None and course.conversation.ended_by == "customer":
        return []
    end = course.ended if reply is None else course.times[reply]
    return slow_first(limits, course.last_turn() if reply is None else reply, (start, end))


def slow_first(limits: Sequence[Limit], turn: int, interval: tuple[float, float]) -> list[Finding]:
    """Findings where the first reply took longer than the limits allow."""
    value = interval[1] - interval[0]
    return [
        over_limit(
            "response.slow_first", turn, "first-reply", value=value, limit=limit, what="首次人工响应用时", interval=interval
        )
        for limit in limits
        if value > limit.value
    ]


def mean_reply(course: Course) -> list[Finding]:
    """`response.slow`, on the conversation."""
    limits = course.limit("response.slow")
    gaps = reply_gaps(course) if limits else []
    if not gaps:
        return []
    mean = sum(seconds for _, _, seconds in gaps) / len(gaps)
    return [
        over_limit(
            "response.slow", None, "mean-reply", value=mean, limit=limit, what=f"{len(gaps)} 次应答的平均响应用时", interval=None
        )
        for limit in limits
        if mean > limit.value
    ]


def unattended(course: Course) -> list[Finding]:
    """`response.unattended_emotion`, on the late agent turn, or on the last turn when no answer came."""
    limits = course.limit("response.unattended_emotion")
    upset = course.showing("customer", "upset")
    if not upset or not limits or course.times is None or course.ended is None:
        return []
    holds = kept_holds(course)
    found: dict[tuple[int, float], Finding] = {}
    for i in upset:
        reply = course.next_reply(i)
        if reply is None and course.conversation.ended_by == "customer":
            continue
        end = course.ended if reply is None else course.times[reply]
        turn = course.last_turn() if reply is None else reply
        for limit, finding in too_long_upset(limits, turn, (course.times[i], end), holds):
            found.setdefault((turn, limit), finding)
    return list(found.values())


def too_long_upset(
    limits: Sequence[Limit], turn: int, interval: tuple[float, float], holds: Sequence[tuple[float, float]]
) -> Iterator[tuple[float, Finding]]:
    """(limit, finding) where an upset customer waited longer than the limits allow."""
    value = outside(*interval, holds)
    for limit in limits:
        if value > limit.value:
            yield (
                limit.value,
                over_limit(
                    "response.unattended_emotion",
                    turn,
                    "unattended-emotion",
                    value=value,
                    limit=limit,
                    what="客户情绪激动后未获回应",
                    interval=interval,
                ),
            )
