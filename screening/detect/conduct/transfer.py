"""Forced transfers: handed to somebody else without the customer's consent, or against his no."""

from screening.detect.conduct.course import VERSION, Course
from screening.types import Finding


def forced_transfer(course: Course) -> list[Finding]:
    """`forced_end.transfer`, on the agent's turn that did it or on the system line that shows it."""
    found = []
    for at, line in _transfers(course):
        turn = next((i for i in range(at - 1, -1, -1) if course.roles[i] == "agent"), None)
        if turn is None or not any(course.human_reply(i) for i in range(at)):
            continue  # a bot, or nobody, handed over to a human
        why = _without_consent(course, at)
        if why is None:
            continue
        said = turn if course.reading.has(turn, "transfer") else None
        place = said if said is not None else line if line is not None else turn
        found.append(
            Finding(
                signal="forced_end.transfer",
                turn=place,
                span=None,
                kind="conduct",
                id="transfer-without-consent",
                version=VERSION,
                why=why,
            )
        )
    return found


def _transfers(course: Course) -> list[tuple[int, int | None]]:
    """(index before which it happened, system line that shows it or None): system lines, else what agents say they do.

    An agent who asks in the same breath does not do it yet.
    """
    lines = [(i, i) for i in course.showing("system", "transfer_notice")]
    if lines:
        return list(lines)
    said = [i + 1 for i in course.showing("agent", "transfer") if not course.reading.has(i, "transfer_ask")]
    if course.conversation.attributes.get("transferred_to"):
        return [(said[-1] if said else len(course.roles), None)]
    return [(at, None) for at in said]


def _without_consent(course: Course, at: int) -> str | None:
    reading = course.reading
    asked = [i for i in course.turns_of("agent") if i < at and reading.has(i, "transfer_ask")]
    start = asked[-1] + 1 if asked else max(0, at - 8)
    replies = [i for i in range(start, at) if course.roles[i] == "customer"]
    if asked:
        for i in reversed(replies):
            if reading.has(i, "objection") or reading.has(i, "upset"):
                return "客户不同意转接，客服仍强行转接"
            if reading.has(i, "agreement") or reading.has(i, "transfer_wanted"):
                return None
        return "客服询问后未等客户同意即转接" if not replies else None
    if any(reading.has(i, "transfer_wanted") and not reading.has(i, "objection") for i in replies):
        return None
    if any(reading.has(i, "objection") for i in replies[-2:]):
        return "客户不同意转接，客服仍强行转接"
    return "未征得客户同意即转接"


def is_checked(course: Course) -> bool:
    """Whether the conversation can show a transfer at all: by a system line or the attribute."""
    return "transferred_to" in course.conversation.attributes or "system" in course.roles
