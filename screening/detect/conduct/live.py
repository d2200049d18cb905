"""A running conversation turn by turn: the timing detectors' definitions over a bounded state instead of the whole course.

Each turn costs the same however many came before. What a late turn breaks is found on that turn just as the detectors find it in
the whole conversation; what rests on the end (no reply at all, the mean, promises, endings) is theirs alone.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from screening.detect.conduct import holds, phone, promises, timing
from screening.detect.conduct.course import Course
from screening.detect.conduct.due import due_time
from screening.profile import Limit
from screening.types import Channel, Finding, Role

KINDS = (
    "bad_line",
    "hold",
    "nuisance_warning",
    "objection",
    "promise",
    "silence_prompt",
    "transfer_wanted",
    "upset",
    "wrong_number",
)
"""The cues that a running conversation is followed by."""
PROMISES = 8
"""So many promises of one conversation are timed; of more the latest."""
_DATED = frozenset({"hold", "promise"})

TimerKind = Literal["first_reply", "mean_reply", "upset", "hold", "promise"]
LimitsOf = Callable[[str], Sequence[Limit]]


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


class Timer(NamedTuple):
    """A limit that is being counted down: from `since` to `breaks_at` (POSIX seconds); `turn` started it.

    `limit` and `source` are the limit in seconds and who set it, None for a promise. `value`: the mean so far, where it is one.
    """

    kind: TimerKind
    signal: str
    turn: int
    since: float
    breaks_at: float
    limit: float | None = None
    source: str | None = None
    value: float | None = None


class _Hold(NamedTuple):
    """A wait that an agent asked for in their own words and that no agent has ended yet."""

    turn: int
    at: float
    due: float | None
    rejected: bool = False


class LiveCourse(NamedTuple):
    """What must be known of the turns so far; `timed` turns False for good where a time is missing or goes backwards."""

    channel: Channel
    turns: int = 0
    timed: bool = True
    at: float | None = None
    ends: float = 0.0
    role: Role | None = None
    bot: bool = False
    asked: tuple[int, float] | None = None
    wanted: tuple[int, float] | None = None
    answered: bool = False
    waiting: tuple[int, float] | None = None
    gaps: int = 0
    gap_seconds: float = 0.0
    upset: tuple[tuple[int, float], ...] = ()
    holds: tuple[_Hold, ...] = ()
    agent_held: bool | None = None
    customer_ends: float | None = None
    promises: tuple[tuple[int, float, float], ...] = ()

    def kept_holds(self, end: float, allowed: float) -> list[tuple[float, float]]:
        """The open holds as intervals, those that an agent's turn at `end` keeps."""
        return [(hold.at, end) for hold in self.holds if end - hold.at <= allowed and not hold.rejected]


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
    due = None
    if turn.role == "agent" and at is not None and not kinds.isdisjoint(_DATED):
        due = due_time(clean, at, course.zone)
    return Seen(
        turn.role,
        at,
        ends,
        human=course.human_reply(last),
        kinds=kinds,
        due=None if due is None else due.at,
        back_channel=course.conversation.channel == "phone" and phone.is_back_channel(clean),
    )


def follow(course: LiveCourse, turn: Seen, limits: LimitsOf) -> tuple[LiveCourse, list[Finding]]:
    """The course with one more turn, and what that turn breaks."""
    number, at = course.turns, turn.at
    if at is None:
        at = course.at
        if turn.role != "system":
            return course._replace(turns=number + 1, timed=False), []
    if not course.timed or at is None or (course.at is not None and at < course.at):
        # a system line before the first time is no gap; anything else without a time, or going back, is one
        return course._replace(turns=number + 1, timed=course.timed and at is None, role=turn.role), []
    found: list[Finding] = []
    after = course._replace(turns=number + 1, at=at, ends=at if turn.ends is None else turn.ends, role=turn.role)
    if turn.role == "agent":
        found += _by_phone(course, turn, at, limits) if course.channel == "phone" else []
        if turn.human:
            late, after = _replied(course, after, at, limits)
            found += late
        after = _announced(after, turn, number, at)
    elif turn.role == "customer":
        after = _said(after, turn, number, at)
    elif turn.role == "bot" and not course.answered:
        after = after._replace(bot=True)
    return after, found


def _by_phone(course: LiveCourse, turn: Seen, at: float, limits: LimitsOf) -> list[Finding]:
    found = []
    if course.role not in (None, "system", "bot") and not course.agent_held:
        found += holds.silence(limits(holds.SIGNAL), course.turns, (course.ends, at))
    if course.customer_ends is not None and not turn.back_channel:
        overlap = course.customer_ends - at
        if overlap >= phone.OVERLAP_SECONDS:
            found.append(phone.interruption(course.turns, overlap))
    return found


def _replied(course: LiveCourse, after: LiveCourse, at: float, limits: LimitsOf) -> tuple[list[Finding], LiveCourse]:
    """An agent's own words end whatever was waited for."""
    number = course.turns
    kept = course.kept_holds(at, timing.longest_hold(limits(timing.HOLD_SIGNAL)))
    found: dict[tuple[str, float], Finding] = {}
    if course.asked is not None and not course.answered:
        anchor = course.wanted if course.bot and course.wanted is not None else course.asked
        for finding in timing.slow_first(limits("response.slow_first"), number, (anchor[1], at)):
            found["response.slow_first", len(found)] = finding
        after = after._replace(answered=True, asked=None, wanted=None)
    for _, since in course.upset:
        for limit, finding in timing.too_long_upset(limits("response.unattended_emotion"), number, (since, at), kept):
            found.setdefault(("response.unattended_emotion", limit), finding)
    for hold in course.holds:
        for limit, finding in holds.overrun(limits(holds.SIGNAL), number, (hold.at, at), hold.due):
            found[holds.SIGNAL, limit] = finding
    if course.waiting is not None:
        seconds = timing.gap(course.waiting[1], at, kept)
        if seconds is not None:
            after = after._replace(gaps=course.gaps + 1, gap_seconds=course.gap_seconds + seconds)
    return list(found.values()), after._replace(waiting=None, upset=(), holds=())


def _announced(after: LiveCourse, turn: Seen, number: int, at: float) -> LiveCourse:
    held = "hold" in turn.kinds
    if held and turn.human:
        after = after._replace(holds=(*after.holds, _Hold(number, at, turn.due)))
    if "promise" in turn.kinds and turn.due is not None:
        after = after._replace(promises=(*after.promises, (number, at, turn.due))[-PROMISES:])
    return after._replace(agent_held=held)


def _said(after: LiveCourse, turn: Seen, number: int, at: float) -> LiveCourse:
    place = (number, at)
    if not after.answered:
        asked = after.asked or place
        wanted = after.wanted or (place if "transfer_wanted" in turn.kinds else None)
        after = after._replace(asked=asked, wanted=wanted)
    if "upset" in turn.kinds:
        after = after._replace(upset=(*after.upset, place))
    if "objection" in turn.kinds and after.holds:
        after = after._replace(holds=tuple(hold._replace(rejected=True) for hold in after.holds))
    return after._replace(waiting=after.waiting or place, customer_ends=turn.ends)


def timers(course: LiveCourse, limits: LimitsOf) -> list[Timer]:
    """The limits that are being counted down after the last turn, the first to break first. A limit that is broken stays until somebody answers."""
    if not course.timed:
        return []
    found: list[Timer] = []
    hold = next((hold for hold in reversed(course.holds) if not hold.rejected), None)
    allowed = None if hold is None else (hold.at, hold.at + timing.longest_hold(limits(timing.HOLD_SIGNAL)))
    if course.asked is not None and not course.answered:
        turn, since = course.wanted if course.bot and course.wanted is not None else course.asked
        for limit in limits("response.slow_first"):
            found.append(_timer("first_reply", "response.slow_first", turn, since, since + limit.value, limit))
    if course.waiting is not None:
        turn, since = course.waiting
        for limit in limits("response.slow"):
            left = limit.value * (course.gaps + 1) - course.gap_seconds
            mean = None if not course.gaps else course.gap_seconds / course.gaps
            broken = _outside(since + max(0.0, left), allowed)
            found.append(_timer("mean_reply", "response.slow", turn, since, broken, limit, mean))
    if course.upset:
        turn, since = course.upset[0]
        for limit in limits("response.unattended_emotion"):
            broken = _outside(since + limit.value, allowed)
            found.append(_timer("upset", "response.unattended_emotion", turn, since, broken, limit))
    for own in course.holds:
        for limit in limits(holds.SIGNAL):
            broken = max(own.at + limit.value, own.due or 0.0)
            found.append(_timer("hold", holds.SIGNAL, own.turn, own.at, broken, limit))
    found += [Timer("promise", promises.SIGNAL, turn, since, due) for turn, since, due in course.promises]
    return sorted(found, key=lambda timer: (timer.breaks_at, timer.kind, timer.turn))


def _timer(
    kind: TimerKind, signal: str, turn: int, since: float, breaks_at: float, limit: Limit, value: float | None = None
) -> Timer:
    return Timer(kind, signal, turn, since, breaks_at, limit.value, limit.source, value)


def _outside(breaks_at: float, hold: tuple[float, float] | None) -> float:
    """When a limit breaks while a hold runs: not inside it, but with it if it is not kept."""
    return breaks_at if hold is None or breaks_at <= hold[0] else max(breaks_at, hold[1])
