"""Talk-over on the phone: the agent starts before the customer has stopped, and takes the turn."""

import re

from screening.detect.conduct.course import VERSION, Course
from screening.types import Finding

OVERLAP_SECONDS = 0.5
_BACK_CHANNEL = re.compile("[嗯哦喔噢啊对是好的行呃欸哎呀吧了呢您说明白理解可以,，。.!！?？、… ]*")


def talk_over(course: Course) -> list[Finding]:
    """`rudeness.interruption`, on the agent turn that started at least 0.5 s before the customer's `ends_at`."""
    if course.conversation.channel != "phone" or course.times is None or course.ends is None:
        return []
    found = []
    for i in course.turns_of("agent"):
        before = next((j for j in range(i - 1, -1, -1) if course.roles[j] == "customer"), None)
        if before is None or course.conversation.turns[before].ends_at is None:
            continue
        overlap = course.ends[before] - course.times[i]
        if overlap >= OVERLAP_SECONDS and not is_back_channel(course.reading.clean(i)):
            found.append(interruption(i, overlap))
    return found


def interruption(turn: int, overlap: float) -> Finding:
    """The finding that an agent cut in `overlap` seconds before the customer had stopped."""
    return Finding(
        signal="rudeness.interruption",
        turn=turn,
        span=None,
        kind="conduct",
        id="talk-over",
        version=VERSION,
        why=f"客户还在说话，客服提前 {overlap:.1f} 秒抢话",
    )


def is_back_channel(clean: str) -> bool:
    """Whether a clean text only shows that its speaker listens."""
    return _BACK_CHANNEL.fullmatch(clean) is not None


def has_speech_ends(course: Course) -> bool:
    """Whether the customer's turns tell when the speaker stopped."""
    turns = course.conversation.turns
    return any(turn.ends_at is not None for turn in turns if turn.role == "customer")
