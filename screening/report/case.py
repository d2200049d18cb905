"""One conversation as a report shows it: its turns cut at the flags, its candidates with their clauses, every flag in full."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo

import msgspec

from lexicons.schema import Clause
from screening.report import names
from screening.report.spans import Mark, Piece, Run, pieces, runs, visible
from screening.types import Candidate, Channel, Conversation, Failure, Flag, Level, Role, Screening, Source, Status, Turn

PAUSE = timedelta(seconds=60)
_PRECEDENCE = {"active": 0, "shadow": 1, "excused": 2}


class ShownFlag(msgspec.Struct, frozen=True):
    """A flag with its number in the conversation (from 1). `whole`: it means the whole turn and marks no words."""

    number: int
    signal: str
    family: str
    name: str
    status: Status
    turn: int | None
    role: str
    whole: bool
    quote: tuple[Run, ...]
    score: float
    source: Source
    why: str
    suggestion: str | None
    excuse: str | None


class ShownCandidate(msgspec.Struct, frozen=True):
    """A candidate with its clause. `own` are the flags first named here, `again` those that an earlier candidate explains."""

    candidate: Candidate
    clause: Clause
    own: tuple[ShownFlag, ...]
    again: tuple[int, ...]


class ShownTurn(msgspec.Struct, frozen=True):
    """A turn with its number (from 1), cut at its flags. `pause` says how long nobody spoke before it, where that was long."""

    number: int
    role: Role
    role_name: str
    time: str
    kind: str
    pause: str
    pieces: tuple[Piece, ...]
    flags: tuple[ShownFlag, ...]

    @property
    def whole(self) -> ShownFlag | None:
        """The flag that colours the whole turn."""
        return min((f for f in self.flags if f.whole), key=_precedence, default=None)


class Case(msgspec.Struct, frozen=True):
    """A conversation to look at."""

    id: str
    channel: Channel
    channel_name: str
    vendor: str
    agent: str
    customer: str
    started: str
    ended: str
    level: Level | None
    score: float
    complete: bool
    not_checked: tuple[str, ...]
    failures: tuple[Failure, ...]
    turns: tuple[ShownTurn, ...]
    flags: tuple[ShownFlag, ...]
    candidates: tuple[ShownCandidate, ...]
    others: tuple[ShownFlag, ...]
    """Flags that no candidate rests on: excused, on trial, left to the ledger, or outranked."""

    @property
    def about_all(self) -> tuple[ShownFlag, ...]:
        """Flags on the conversation as a whole."""
        return tuple(flag for flag in self.flags if flag.turn is None)

    @property
    def lead(self) -> ShownFlag | None:
        """The flag that a closed card quotes: the first of the gravest candidate that has words."""
        found = [self.flags[i] for shown in self.candidates for i in shown.candidate.flags] or list(self.flags)
        return next((flag for flag in found if flag.quote), found[0] if found else None)


def case_of(conversation: Conversation, screening: Screening, clauses: Mapping[tuple[str, str], Clause], zone: tzinfo) -> Case:
    """The conversation as a report shows it; `clauses` by standard and clause id."""
    flags = tuple(_flag(number, flag, conversation) for number, flag in enumerate(screening.flags, 1))
    marks: dict[int, list[ShownFlag]] = {}
    for flag in flags:
        if flag.turn is not None:
            marks.setdefault(flag.turn - 1, []).append(flag)
    named = {i for candidate in screening.candidates for i in candidate.flags}
    began = conversation.started_at or next((turn.at for turn in conversation.turns if turn.at), None)
    ended = conversation.ended_by
    return Case(
        id=visible(conversation.id),
        channel=conversation.channel,
        channel_name=names.CHANNELS[conversation.channel],
        vendor=conversation.vendor_id or "",
        agent=conversation.agent_id or "",
        customer=conversation.customer_id or "",
        started=f"{local(began, zone):%Y-%m-%d %H:%M}" if began else "",
        ended=names.ENDED_BY[ended] if ended else "",
        level=screening.level,
        score=max((candidate.score for candidate in screening.candidates), default=0.0),
        complete=screening.complete,
        not_checked=screening.not_checked,
        failures=screening.failures,
        turns=tuple(
            _turn(i, conversation.turns, marks.get(i, []), screening.flags, zone) for i in range(len(conversation.turns))
        ),
        flags=flags,
        candidates=_candidates(screening, flags, clauses),
        others=tuple(flag for i, flag in enumerate(flags) if i not in named),
    )


def local(time: datetime, zone: tzinfo) -> datetime:
    """The time on the clock of the report; a time without an offset stands for that clock already."""
    return time if time.tzinfo is None else time.astimezone(zone)


def _flag(number: int, flag: Flag, conversation: Conversation) -> ShownFlag:
    turn = None if flag.turn is None else conversation.turns[flag.turn]
    # A rule reads words, even where they are all that was said; conduct and classifiers judge the turn as such.
    whole = turn is not None and (flag.start, flag.end) == (0, len(turn.text)) and flag.source.kind in ("conduct", "model")
    return ShownFlag(
        number=number,
        signal=flag.signal,
        family=names.family(flag.signal),
        name=names.SIGNALS.get(flag.signal, flag.signal),
        status=flag.status,
        turn=None if flag.turn is None else flag.turn + 1,
        role="" if turn is None else names.ROLES[turn.role],
        whole=whole,
        quote=() if turn is None else runs(turn.text, flag.start or 0, flag.end),
        score=flag.score,
        source=flag.source,
        why=flag.why,
        suggestion=flag.suggestion,
        excuse=names.excuse(flag.excused_by) if flag.excused_by else None,
    )


def _candidates(
    screening: Screening, flags: Sequence[ShownFlag], clauses: Mapping[tuple[str, str], Clause]
) -> tuple[ShownCandidate, ...]:
    shown: set[int] = set()
    result = []
    for candidate in screening.candidates:
        own = tuple(flags[i] for i in candidate.flags if i not in shown)
        again = tuple(i + 1 for i in candidate.flags if i in shown)
        shown.update(candidate.flags)
        result.append(ShownCandidate(candidate, clauses[candidate.standard, candidate.clause], own, again))
    return tuple(result)


def _turn(i: int, turns: Sequence[Turn], shown: Sequence[ShownFlag], flags: Sequence[Flag], zone: tzinfo) -> ShownTurn:
    turn = turns[i]
    marks = []
    for flag in shown:
        at = flags[flag.number - 1]
        if not flag.whole and at.start is not None and at.end is not None:
            marks.append((_precedence(flag), at.end - at.start, Mark(flag.number, at.start, at.end)))
    return ShownTurn(
        number=i + 1,
        role=turn.role,
        role_name=names.ROLES[turn.role],
        time=f"{local(turn.at, zone):%H:%M:%S}" if turn.at else "",
        kind=names.KINDS.get(turn.kind, ""),
        pause=_pause(turns[i - 1] if i else None, turn),
        pieces=pieces(turn.text, [mark for *_, mark in sorted(marks)]),
        flags=tuple(shown),
    )


def _precedence(flag: ShownFlag) -> int:
    return _PRECEDENCE[flag.status]


def _pause(before: Turn | None, turn: Turn) -> str:
    since = (before.ends_at or before.at) if before else None
    if since is None or turn.at is None or (since.tzinfo is None) != (turn.at.tzinfo is None):
        return ""
    pause = turn.at - since
    return duration(pause) if pause >= PAUSE else ""


def duration(length: timedelta) -> str:
    """A length of time in the two largest units that say something."""
    seconds = round(length.total_seconds())
    units = [(seconds // 86400, "天"), (seconds // 3600 % 24, "小时"), (seconds // 60 % 60, "分"), (seconds % 60, "秒")]
    first = next((i for i, (count, _) in enumerate(units) if count), len(units) - 1)
    return " ".join(f"{count} {unit}" for count, unit in units[first : first + 2] if count) or "0 秒"
