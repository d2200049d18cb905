"""Holds: asked for, or announced, and answered in time; and dead air on the phone (standard 2, hold; CONTRACT.md process.*)."""

from collections.abc import Iterator, Sequence

from screening.detect.conduct.course import Course, over_limit
from screening.detect.conduct.due import due_time
from screening.profile import Limit
from screening.types import Finding

SIGNAL = "process.hold_unannounced"


def overrun_holds(course: Course) -> list[Finding]:
    """A wait that the agent asked for and did not end in time, on the late agent turn (the last turn when he never came back)."""
    limits = course.limit(SIGNAL)
    if not limits or course.times is None or course.ended is None:
        return []
    found: dict[tuple[int, float], Finding] = {}
    for i in course.showing("agent", "hold"):
        if not course.human_reply(i):
            continue
        back = course.next_reply(i)
        if back is None and course.conversation.ended_by != "agent":
            continue
        end = course.ended if back is None else course.times[back]
        due = due_time(course.reading.clean(i), course.times[i], course.zone)
        turn = course.last_turn() if back is None else back
        for limit, finding in overrun(limits, turn, (course.times[i], end), None if due is None else due.at):
            found[turn, limit] = finding
    return list(found.values())


def overrun(
    limits: Sequence[Limit], turn: int, interval: tuple[float, float], due: float | None
) -> Iterator[tuple[float, Finding]]:
    """(limit, finding) where a hold lasted longer than the limits allow and than the agent had said."""
    start, end = interval
    if due is not None and end <= due:
        return
    for limit in limits:
        if end - start > limit.value:
            yield (
                limit.value,
                over_limit(
                    SIGNAL,
                    turn,
                    "hold-overrun",
                    value=end - start,
                    limit=limit,
                    what="请客户等待后未按时回复，等待",
                    interval=interval,
                ),
            )


def dead_air(course: Course) -> list[Finding]:
    """Phone: the agent says nothing for longer than a hold may last, without having asked for one."""
    limits = course.limit(SIGNAL)
    if course.conversation.channel != "phone" or not limits or course.times is None or course.ends is None:
        return []
    found = []
    for i in course.turns_of("agent"):
        if i == 0 or course.roles[i - 1] in ("system", "bot"):
            continue
        before = next((j for j in range(i - 1, -1, -1) if course.roles[j] == "agent"), None)
        announced = before is not None and course.reading.has(before, "hold")
        if not announced:
            found += silence(limits, i, (course.ends[i - 1], course.times[i]))
    return found


def silence(limits: Sequence[Limit], turn: int, interval: tuple[float, float]) -> list[Finding]:
    """Findings where the silence before an agent's turn was longer than the limits allow."""
    quiet = interval[1] - interval[0]
    return [
        over_limit(SIGNAL, turn, "dead-air", value=quiet, limit=limit, what="未说明即让客户空等", interval=interval)
        for limit in limits
        if quiet > limit.value
    ]
