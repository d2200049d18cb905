"""Forced ends: the agent ends while the last customer turn is an open question, an objection or an unfinished matter.

A farewell is no hang-up: one third of real conversations end with one. What is innocent follows CONTRACT.md
(forced_end.hangup): agreement, an announced silence, a bad line, a wrong number, a nuisance caller warned, an end by the
customer or by the system alone.
"""

import re

from screening.detect.conduct.course import VERSION, Course
from screening.types import Finding

SILENCE_SECONDS = 60.0
SETTLED_SECONDS = 90.0
_SUBSTANCE = 8
_ANY_WORD = 2
_NO_WORD = re.compile(r"[\W_]+")
_OPEN = ("objection", "upset", "complaint_wish")


def forced_end(course: Course) -> list[Finding]:
    """`forced_end.hangup`, on the agent's turn that ended it or on the system line that shows it."""
    notice = _closing_notice(course)
    if not _ended_by_agent(course, notice):
        return []
    stop = len(course.roles) if notice is None else notice
    last = next((i for i in range(stop - 1, -1, -1) if course.roles[i] == "customer"), None)
    if last is None or _prescribed(course, last, stop):
        return []
    matter = _open_matter(course, last, stop, sure=course.conversation.ended_by == "agent" or notice is not None)
    if matter is None:
        return []
    agent = [i for i in range(last + 1, stop) if course.roles[i] == "agent"]
    if agent:
        turn = agent[-1]
    elif notice is not None:
        turn = notice
    else:
        turn = next((i for i in range(last, -1, -1) if course.roles[i] == "agent"), last)
        if course.roles[turn] != "agent":
            return []
    return [
        Finding(
            signal="forced_end.hangup",
            turn=turn,
            span=None,
            kind="conduct",
            id="end-while-open",
            version=VERSION,
            why=f"{matter}，客服即结束会话",
        )
    ]


def excused(course: Course, finding: Finding) -> Finding:
    """A rule's `forced_end.hangup` becomes excused where the prescribed ends allow the closing it found."""
    if finding.signal != "forced_end.hangup" or finding.status == "excused" or finding.turn is None:
        return finding
    last = next((i for i in range(finding.turn - 1, -1, -1) if course.roles[i] == "customer"), -1)
    if _prescribed(course, last, finding.turn + 1):
        return finding._replace(status="excused", excused_by="prescribed end")
    return finding


def _closing_notice(course: Course) -> int | None:
    last = len(course.roles) - 1
    for i in range(last, max(-1, last - 3), -1):
        if course.roles[i] == "system" and course.reading.has(i, "closing_notice"):
            return i
    return None


def _ended_by_agent(course: Course, notice: int | None) -> bool:
    ended_by = course.conversation.ended_by
    if ended_by == "agent":
        return True
    if ended_by is not None:
        return False
    if notice is not None:
        return True
    return bool(course.roles) and course.roles[-1] == "agent" and course.reading.has(len(course.roles) - 1, "closing")


def _prescribed(course: Course, last: int, stop: int) -> bool:
    """The prescribed ends: announced silence, bad line, wrong number, nuisance caller warned."""
    reading = course.reading
    agent = [i for i in range(stop) if course.roles[i] == "agent"]
    after = [i for i in agent if i > last]
    prompts = [i for i in reading.showing("silence_prompt") if i in after]
    quiet = None
    if course.times is not None and course.ended is not None:
        quiet = max(course.ended, course.times[stop - 1]) - course.times[max(last, 0)]
    if len(prompts) >= 2 or (prompts and (quiet is None or quiet >= SILENCE_SECONDS)):
        return True
    recent = agent[-4:]
    if any(i in recent for kind in ("bad_line", "wrong_number", "nuisance_warning") for i in reading.showing(kind)):
        return True
    return any(i <= last for i in course.showing("customer", "wrong_number"))


def _open_matter(course: Course, last: int, stop: int, *, sure: bool) -> str | None:
    """What was still open at the end, in words for a reviewer; None when the matter was settled.

    `sure`: it is known that the agent ended. Where only a closing formula says so, a matter counts only when the customer
    visibly asked or objected, and any word besides the formula counts as an answer.
    """
    reading = course.reading
    run = _customer_run(course, last)
    asked = any(reading.has(i, "open_question") for i in run)
    opposed = any(reading.has(i, kind) for i in run for kind in _OPEN)
    agreed = reading.has(last, "agreement") and not any(reading.has(last, kind) for kind in ("open_question", *_OPEN))
    if agreed:
        return None
    after = [i for i in range(last + 1, stop) if course.roles[i] == "agent"]
    answered = any(_is_substance(course, i, _SUBSTANCE if sure else _ANY_WORD) for i in after)
    if answered and (not opposed or _waited(course, after)):
        return None
    if opposed:
        return "客户仍有异议或不满"
    if asked:
        return "客户的问题尚未答复"
    return "客户的事项尚未处理" if sure and not answered else None


def _customer_run(course: Course, last: int) -> list[int]:
    run = []
    for i in range(last, -1, -1):
        if course.roles[i] == "customer":
            run.append(i)
        elif course.roles[i] == "agent":
            break
    return run


def _is_substance(course: Course, i: int, least: int = _SUBSTANCE) -> bool:
    """Whether the agent's turn says something besides a closing formula, a prompt or a request to wait."""
    reading = course.reading
    if reading.has(i, "silence_prompt") or reading.has(i, "hold"):
        return len(reading.clean(i)) > 40
    said = reading.beside(i, "closing") if reading.has(i, "closing") else reading.clean(i)
    return len(_NO_WORD.sub("", said)) >= least


def _waited(course: Course, after: list[int]) -> bool:
    """Whether the agent gave the customer time to answer before ending."""
    if course.times is None or course.ended is None or not after:
        return False
    said = [i for i in after if _is_substance(course, i)]
    return bool(said) and course.ended - course.times[said[0]] >= SETTLED_SECONDS


def missing_formulae(course: Course) -> list[Finding]:
    """`process.no_greeting` and `process.no_closing`; no closing is due when the customer leaves first."""
    agent = [i for i in course.turns_of("agent") if course.human_reply(i)]
    if not agent:
        return []
    reading = course.reading
    found = []
    if not any(reading.has(i, "greeting") for i in agent[:2]):
        found.append(_formula("process.no_greeting", agent[0], "no-greeting", "客服开场未使用问候语"))
    if course.conversation.ended_by != "customer" and not any(reading.has(i, "closing") for i in agent[-2:]):
        found.append(_formula("process.no_closing", agent[-1], "no-closing", "客服结束时未使用结束语"))
    return found


def _formula(signal: str, turn: int, name: str, why: str) -> Finding:
    return Finding(signal=signal, turn=turn, span=None, kind="conduct", id=name, version=VERSION, why=why)
