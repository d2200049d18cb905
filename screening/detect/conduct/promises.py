"""Promises not kept: the customer says so later, or `attributes.callbacks` shows none by the due time."""

from datetime import datetime
from typing import Any

import msgspec

from screening.detect.conduct.course import VERSION, Course
from screening.detect.conduct.due import due_time
from screening.types import Finding

SIGNAL = "promise.unkept"


class Callback(msgspec.Struct, frozen=True):
    """One entry of `attributes.callbacks`. `checked_at`: up to when the source system looked for a call-back."""

    promised_turn: int
    done_at: datetime | None = None
    checked_at: datetime | None = None


def callbacks(attributes: dict[str, Any]) -> list[Callback] | None:
    """The call-backs that came with the conversation, None when the source does not report them."""
    if "callbacks" not in attributes:
        return None
    return msgspec.convert(attributes["callbacks"] or [], list[Callback])


def unkept(course: Course) -> list[Finding]:
    """On the turn that promised; on the customer's turn where the promise was made before this conversation."""
    found: dict[int, Finding] = {}
    for callback in callbacks(course.conversation.attributes) or ():
        i = callback.promised_turn
        if not 0 <= i < len(course.roles) or course.roles[i] != "agent" or course.times is None or course.ended is None:
            continue
        due = due_time(course.reading.clean(i), course.times[i], course.zone)
        if due is None:
            continue
        done = callback.done_at
        known = course.ended if callback.checked_at is None else course.seconds(callback.checked_at)
        late = course.seconds(done) > due.at if done is not None else known > due.at
        if late:
            moment = datetime.fromtimestamp(due.at, course.zone).strftime("%m-%d %H:%M")
            state = "到期后才回复" if done is not None else "到期未见回复记录"
            found[i] = _finding(i, "callback-record", f"承诺最迟 {moment} 前回复，{state}")
    for i in course.showing("customer", "unkept"):
        promised = [j for j in course.showing("agent", "promise") if j < i]
        turn = promised[-1] if promised else i
        found.setdefault(turn, _finding(turn, "customer-says-unkept", "客户表示此前的承诺没有兑现"))
    return list(found.values())


def _finding(turn: int, name: str, why: str) -> Finding:
    return Finding(signal=SIGNAL, turn=turn, span=None, kind="conduct", id=name, version=VERSION, why=why)
