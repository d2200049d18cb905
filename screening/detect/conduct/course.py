"""The course of a conversation: who spoke when, in POSIX seconds, with the limits in force for its channel."""

from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo

from screening.detect.patterns import SlotPattern
from screening.detect.reading import Reading
from screening.profile import Limit
from screening.types import Channel, Finding, Role

VERSION = 1


class Course:
    """One conversation's turns and times.

    `times` and `ends` are None unless every turn that is not a system line has a time and no time goes backwards.
    """

    __slots__ = ("_auto_replies", "_humans", "_limits", "conversation", "ended", "ends", "reading", "roles", "times", "zone")

    def __init__(
        self,
        reading: Reading,
        limits: Mapping[tuple[str, Channel], tuple[Limit, ...]],
        zone: tzinfo,
        auto_replies: tuple[SlotPattern, ...] = (),
    ):
        conversation = reading.conversation
        self.reading = reading
        self.conversation = conversation
        self.zone = zone
        self._humans: frozenset[int] | None = None
        self._auto_replies = auto_replies
        self._limits = limits
        self.roles = [turn.role for turn in conversation.turns]
        self.times = self._times()
        self.ends = self.times
        if self.times is not None and any(turn.ends_at is not None for turn in conversation.turns):
            self.ends = [
                self.times[i] if turn.ends_at is None else self.seconds(turn.ends_at) for i, turn in enumerate(conversation.turns)
            ]
        last = self.times[-1] if self.times else None
        self.ended = last if conversation.ended_at is None else self.seconds(conversation.ended_at)

    def seconds(self, at: datetime) -> float:
        """POSIX seconds; a time without an offset is taken in the configured zone."""
        return (at if at.tzinfo is not None else at.replace(tzinfo=self.zone)).timestamp()

    def _times(self) -> list[float] | None:
        times: list[float] = []
        leading = 0  # system lines without a time before the first time take that time
        for turn in self.conversation.turns:
            at = turn.at
            if at is not None:
                times.append(at.timestamp() if at.tzinfo is not None else self.seconds(at))
            elif turn.role == "system":
                leading += not times
                times += times[-1:]
            else:
                return None
            if len(times) > 1 and times[-1] < times[-2]:
                return None
        return [times[0]] * leading + times if times else None

    def limit(self, signal: str) -> tuple[Limit, ...]:
        """The limits for a signal in this conversation's channel; empty where no graded standard sets one."""
        return self._limits.get((signal, self.conversation.channel), ())

    def human_reply(self, i: int) -> bool:
        """Whether turn `i` is an agent's own words, not an automatic reply."""
        return i in self.humans()

    def humans(self) -> frozenset[int]:
        """The agent's turns that are no automatic replies."""
        if self._humans is None:
            humans = {i for i, role in enumerate(self.roles) if role == "agent"}
            humans.difference_update(self.reading.showing("auto_reply"))
            if self._auto_replies:
                texts = [self.reading.clean(i) for i in range(len(self.roles))]
                humans.difference_update(i for pattern in self._auto_replies for i, _, _ in pattern.located(texts))
            self._humans = frozenset(humans)
        return self._humans

    def next_reply(self, i: int) -> int | None:
        """The first human agent turn after turn `i`."""
        for j in range(i + 1, len(self.roles)):
            if self.human_reply(j):
                return j
        return None

    def turns_of(self, role: Role) -> Iterator[int]:
        """Indices of a role's turns."""
        return (i for i, r in enumerate(self.roles) if r == role)

    def showing(self, role: Role, kind: str) -> list[int]:
        """Indices of a role's turns that show a cue of this kind."""
        shown = self.reading.showing(kind)
        return [i for i in shown if self.roles[i] == role] if shown else []

    def last_turn(self) -> int:
        """The last turn that a flag may stand on: not a bot's."""
        for i in range(len(self.roles) - 1, -1, -1):
            if self.roles[i] != "bot":
                return i
        return 0


def seconds_text(value: float) -> str:
    """A duration as a reviewer reads it."""
    whole = round(value)
    if whole < 120:
        return f"{whole} 秒"
    minutes, rest = divmod(whole, 60)
    if minutes < 120:
        return f"{minutes} 分 {rest} 秒" if rest else f"{minutes} 分钟"
    return f"{minutes // 60} 小时 {minutes % 60} 分"


def over_limit(
    signal: str, turn: int | None, name: str, *, value: float, limit: Limit, what: str, interval: tuple[float, float] | None
) -> Finding:
    """A finding that a threshold was broken; says which standard set it."""
    return Finding(
        signal=signal,
        turn=turn,
        span=None,
        kind="conduct",
        id=name,
        version=VERSION,
        why=f"{what} {seconds_text(value)}，超过 {limit.source} 规定的 {seconds_text(limit.value)}",
        standards=limit.standards,
        references=limit.references,
        interval=interval,
    )
