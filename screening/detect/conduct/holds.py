"""Holds: asked for, or announced, and answered in time; and dead air on the phone (standard 2, hold; CONTRACT.md process.*)."""

from screening.detect.conduct.course import Course, over_limit
from screening.detect.conduct.due import due_time
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
        value = end - course.times[i]
        if due is not None and end <= due.at:
            continue
        turn = course.last_turn() if back is None else back
        for limit in limits:
            if value > limit.value:
                found[turn, limit.value] = over_limit(
                    SIGNAL,
                    turn,
                    "hold-overrun",
                    value=value,
                    limit=limit,
                    what="请客户等待后未按时回复，等待",
                    interval=(course.times[i], end),
                )
    return list(found.values())


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
        quiet = course.times[i] - course.ends[i - 1]
        for limit in limits:
            if quiet > limit.value and not announced:
                found.append(
                    over_limit(
                        SIGNAL,
                        i,
                        "dead-air",
                        value=quiet,
                        limit=limit,
                        what="未说明即让客户空等",
                        interval=(course.ends[i - 1], course.times[i]),
                    )
                )
    return found
