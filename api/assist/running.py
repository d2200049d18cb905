"""One running conversation: all of its turns packed for the end, and the few that the next turn's judgement rests on."""

from collections import deque
from math import inf
from typing import NamedTuple

import msgspec

from api.assist.messages import About, End, TurnMessage, Withdrawn
from screening.detect.conduct.live import LiveCourse, Timer
from screening.normalise import tables
from screening.types import Conversation, Flag, Screening, Turn

TAIL = 4
"""Turns before the judged one that the classifiers read."""
DRAFT_TURNS = 8
_RECENT_AGENT_TURNS = 3
_PROMPTS = 2
_NUMBERS = 4
_SUSPECT = 5
_NUMERALS = frozenset(tables.NUMERALS)
_EXCUSING = frozenset({"bad_line", "nuisance_warning"})
_screening = msgspec.json.Decoder(Screening)
_turns = msgspec.json.Decoder(tuple[Turn, ...])


class Told(NamedTuple):
    """A flag as a desk was told of it."""

    signal: str
    turn: int
    start: int
    end: int
    status: str


class _Past(NamedTuple):
    """An earlier turn that a later one's judgement may rest on."""

    number: int
    turn: Turn
    kinds: frozenset[str]
    numbers: bool


class Pending(NamedTuple):
    """A message of the desk that waits for the ones before it; taken `at` microseconds."""

    message: TurnMessage | End
    number: int
    at: int


class Running:
    """The state of one conversation. `lag` is how far the service's clock is ahead of the desk's, in seconds, as far as is known."""

    __slots__ = (
        "_context",
        "_packed",
        "about",
        "alarm",
        "course",
        "ending",
        "id",
        "lag",
        "pending",
        "session",
        "shown",
        "timers",
        "told",
        "turns",
        "typing_until",
        "working",
    )

    def __init__(self, id_: str, session: str, about: About):
        self.id = id_
        self.session = session
        self.about = about
        self.turns = 0
        self.pending: deque[Pending] = deque()
        self.working = False
        self.ending = False
        self.course = LiveCourse(about.channel)
        self.timers: list[Timer] = []
        self.shown: tuple[object, ...] = (False,)
        """What the desk knows of the timers."""
        self.lag = inf
        self.typing_until = 0
        self.alarm = 0
        self.told: list[Told] = []
        self._packed = bytearray()
        self._context: tuple[_Past, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of its turns."""
        return len(self._packed)

    def take(self, turn: Turn) -> int:
        """Add a turn to the whole; gives its number."""
        self._packed += b"," if self._packed else b"["
        self._packed += msgspec.json.encode(turn)
        self.turns += 1
        return self.turns - 1

    def window(self, turn: Turn, reach: int) -> Conversation:
        """The turn behind what its judgement rests on; `reach` as `Screener.reach`."""
        return self._conversation((*(past.turn for past in self._kept(TAIL, reach)), turn))

    def before_draft(self) -> Conversation:
        """The last turns that were taken, judged or not."""
        waiting = [turn_of(own.message) for own in self.pending if isinstance(own.message, TurnMessage)]
        return self._conversation(tuple([*(past.turn for past in self._context[-DRAFT_TURNS:]), *waiting][-DRAFT_TURNS:]))

    def judged(self, number: int, turn: Turn, kinds: frozenset[str], reach: int) -> None:
        """The turn was judged and stands before the next one."""
        numbers = turn.role == "customer" and _may_hold_numbers(turn.text)
        self._context = (*self._context, _Past(number, turn, kinds, numbers))
        self._context = self._kept(DRAFT_TURNS, reach)

    def _kept(self, tail: int, reach: int) -> tuple[_Past, ...]:
        """What the rules, the classifiers and the excuses of endings look back on, in order; bounded."""
        kept: set[int] = {past.number for past in self._context[-tail:]}
        seen = {"agent": 0, "customer": 0, "system": 0, "bot": reach}
        prompts = numbers = 0
        first_wrong = None
        for past in reversed(self._context):
            role = past.turn.role
            seen[role] += 1
            if seen[role] <= reach:
                kept.add(past.number)
            if (
                role == "agent"
                and seen["agent"] <= _RECENT_AGENT_TURNS
                and not past.kinds.isdisjoint(_EXCUSING | {"wrong_number"})
            ):
                kept.add(past.number)
            if role == "agent" and "silence_prompt" in past.kinds and not seen["customer"] and prompts < _PROMPTS:
                prompts += 1
                kept.add(past.number)
            if past.numbers and numbers < _NUMBERS:
                numbers += 1
                kept.add(past.number)
            if role == "customer" and "wrong_number" in past.kinds:
                first_wrong = past.number
        if first_wrong is not None:
            kept.add(first_wrong)
        return tuple(past for past in self._context if past.number in kept)

    def whole(self, end: End) -> Conversation:
        """The conversation as it ended."""
        turns = _turns.decode(bytes(self._packed) + b"]")
        conversation = self._conversation(turns)
        attributes = self.about.attributes | end.attributes
        return msgspec.structs.replace(conversation, ended_at=end.ended_at, ended_by=end.ended_by, attributes=attributes)

    def _conversation(self, turns: tuple[Turn, ...]) -> Conversation:
        about = self.about
        return Conversation(
            id=self.id,
            turns=turns,
            channel=about.channel,
            vendor_id=about.vendor_id,
            agent_id=about.agent_id,
            customer_id=about.customer_id,
            started_at=about.started_at,
            attributes=about.attributes,
        )

    def tell(self, flags: tuple[Flag, ...], number: int) -> tuple[Flag, ...]:
        """The flags of a window's last turn as flags of turn `number`; remembered for the end."""
        moved = tuple(msgspec.structs.replace(flag, turn=number) for flag in flags)
        self.told += [_told(flag) for flag in moved]
        return moved

    def revised(self, body: bytes) -> tuple[tuple[int, ...], tuple[Withdrawn, ...]]:
        """(indices of flags in the whole that were not told, what was told and is not in the whole)."""
        flags = _screening.decode(body).flags
        told, whole = set(self.told), {_told(flag) for flag in flags if flag.turn is not None}
        added = tuple(i for i, flag in enumerate(flags) if flag.turn is None or _told(flag) not in told)
        return added, tuple(Withdrawn(*gone) for gone in self.told if gone not in whole)  # type: ignore[arg-type]


def turn_of(message: TurnMessage) -> Turn:
    """The turn that a message brings."""
    return Turn(message.role, message.text, at=message.at, kind=message.kind, ends_at=message.ends_at)


def _told(flag: Flag) -> Told:
    return Told(flag.signal, flag.turn or 0, flag.start or 0, flag.end or 0, flag.status)


def _may_hold_numbers(text: str) -> bool:
    """Whether a customer's turn may name a number or an account that an agent repeats."""
    return sum(char in _NUMERALS or (char.isalnum() and not "\u3400" <= char <= "\u9fff") for char in text) >= _SUSPECT
