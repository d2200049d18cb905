"""What is kept of a conversation beside its flags: response times, and what only later conversations can settle.

Times are microseconds UTC. Turns whose times are not known give no promises and no mails.
"""

import re
from datetime import datetime, timedelta
from typing import Any

import msgspec

from screening.detect.conduct import promises, timing
from screening.detect.conduct.course import Course
from screening.detect.conduct.due import due_time

_CONTACT = re.compile("回电|回复|答复|回访|回话|回信|回拨|联系|联络|致电|来电|去电|电话|短信|通知|告知|消息|反馈|结果")
_HELLO = re.compile("[喂嗯啊哎诶唉你您好哪位谁呀请讲说是的吗在,，。.!！?？~ ]*")


class Promise(msgspec.Struct, frozen=True):
    """A promise to be in touch that names a time. `done_at`: the source system's record of the call-back."""

    turn: int
    said_at: int
    due_at: int
    done_at: int | None = None


class Mail(msgspec.Struct, frozen=True):
    """A customer's mail that had no human reply in its conversation on its own day."""

    turn: int
    at: int
    replied_at: int | None = None


class Facts(msgspec.Struct, frozen=True):
    """Response times in seconds; `agent_opened`: a human agent spoke first, as in a call-back.

    `promises` fall due after the conversation's last turn: what is due earlier is judged within it.
    """

    first_response_seconds: float | None = None
    mean_response_seconds: float | None = None
    responses: int | None = None
    first_agent_at: int | None = None
    agent_opened: bool = False
    on_shift: bool | None = None
    entry_errors: int = 0
    complaint_cause: str | None = None
    promises: tuple[Promise, ...] = ()
    mails: tuple[Mail, ...] = ()


def facts_of(course: Course) -> Facts:
    """The facts of one conversation."""
    attributes = course.conversation.attributes
    first, mean, responses = _responses(course)
    agent = next((i for i in range(len(course.roles)) if course.human_reply(i)), None)
    return Facts(
        first_response_seconds=first,
        mean_response_seconds=mean,
        responses=responses,
        first_agent_at=None if agent is None or course.times is None else _micros(course.times[agent]),
        agent_opened=agent is not None and _opened(course, agent),
        on_shift=shift if isinstance(shift := attributes.get("on_shift"), bool) else None,
        entry_errors=_count(attributes.get("entry_errors")),
        complaint_cause=_text(attributes.get("complaint_cause")),
        promises=_promises(course),
        mails=_mails(course) if course.conversation.channel == "email" else (),
    )


def _responses(course: Course) -> tuple[float | None, float | None, int | None]:
    if course.times is None:
        return None, None, None
    waited = timing.first_response(course)
    first = None if waited is None or waited[1] is None else course.times[waited[1]] - waited[0]
    gaps = timing.reply_gaps(course)
    return first, sum(seconds for *_, seconds in gaps) / len(gaps) if gaps else None, len(gaps)


def _opened(course: Course, agent: int) -> bool:
    if course.conversation.attributes.get("direction") == "outbound":
        return True
    before = [i for i in range(agent) if course.roles[i] == "customer"]
    if course.conversation.channel == "phone":  # who is called says hello first
        before = [i for i in before if not _HELLO.fullmatch(course.reading.clean(i))]
    return not before and "bot" not in course.roles[:agent]


def _promises(course: Course) -> tuple[Promise, ...]:
    said = course.showing("agent", "promise")
    if not said or course.times is None:
        return ()
    done = _done(course)
    found = []
    for i in said:
        text = course.reading.clean(i)
        due = due_time(text, course.times[i], course.zone) if _CONTACT.search(text) else None
        if due is not None and due.at > course.times[-1]:
            found.append(Promise(i, _micros(course.times[i]), _micros(due.at), done.get(i)))
    return tuple(found)


def _done(course: Course) -> dict[int, int]:
    try:
        known = promises.callbacks(course.conversation.attributes) or ()
    except msgspec.ValidationError:  # the detector names it as a failure
        return {}
    return {callback.promised_turn: _micros(course.seconds(callback.done_at)) for callback in known if callback.done_at}


def _mails(course: Course) -> tuple[Mail, ...]:
    if course.times is None:
        return ()
    found = []
    waiting: int | None = None
    for i, role in enumerate([*course.roles, None]):
        if role == "customer" and waiting is None:
            waiting = i
        elif waiting is not None and (role is None or course.human_reply(i)):
            reply = None if role is None else course.times[i]
            if reply is None or reply >= day_end(course.times[waiting], course):
                found.append(Mail(waiting, _micros(course.times[waiting]), None if reply is None else _micros(reply)))
            waiting = None
    return tuple(found)


def day_end(at: float, course: Course) -> float:
    """The midnight (POSIX seconds) that ends the day of a moment in the course's zone."""
    day = datetime.fromtimestamp(at, course.zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return (day + timedelta(days=1)).timestamp()


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _micros(seconds: float) -> int:
    return round(seconds * 1_000_000)
