"""A running conversation turn by turn: what one turn shows the conduct detectors, read once."""

from typing import NamedTuple

from screening.detect.conduct import phone
from screening.detect.conduct.course import Course
from screening.detect.conduct.due import due_time
from screening.types import Role

KINDS = ("hold", "objection", "promise", "silence_prompt", "transfer_wanted", "upset", "wrong_number")
"""The cues that a running conversation is followed by."""
_DATED = frozenset({"hold", "promise"})


class Seen(NamedTuple):
    """What the conduct detectors read from one turn; times are POSIX seconds.

    `ends` is when the speaker stopped, where the source says so. `human`: an agent's own words. `due`: the moment that a request to wait
    or a promise names. `back_channel`: words that take no turn.
    """

    role: Role
    at: float | None
    ends: float | None
    human: bool
    kinds: frozenset[str]
    due: float | None = None
    back_channel: bool = False


def seen(course: Course) -> Seen:
    """What the last turn of a course shows."""
    last = len(course.roles) - 1
    turn = course.conversation.turns[last]
    at = None if turn.at is None else course.seconds(turn.at)
    ends = None if turn.ends_at is None else course.seconds(turn.ends_at)
    if turn.role == "bot":
        return Seen(turn.role, at, ends, human=False, kinds=frozenset())
    kinds = frozenset(kind for kind in KINDS if course.reading.has(last, kind))
    clean = course.reading.clean(last)
    dated = turn.role == "agent" and at is not None and not kinds.isdisjoint(_DATED)
    due = due_time(clean, at, course.zone) if dated and at is not None else None
    return Seen(
        turn.role,
        at,
        ends,
        human=course.human_reply(last),
        kinds=kinds,
        due=None if due is None else due.at,
        back_channel=course.conversation.channel == "phone" and phone.is_back_channel(clean),
    )
