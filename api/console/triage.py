"""What the triage page asks of the service: each operation is one of the review endpoints, called with the acting principal.

Texts go to the page cut at the flags, with offsets in code points of the original: the page itself never counts characters.
"""

import inspect
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from api import stored
from api.access import Principal
from api.errors import ApiError
from api.review import view
from api.routes import review, review_decisions
from api.routes.review_decisions import ReviewView
from api.routes.review_models import DecisionInput, MissedInput, PageQuery, QueueFilters, UndoInput
from api.wiring import Service
from screening.normalise.clean import clean_text
from screening.report import spans
from screening.report.spans import Mark
from screening.types import Conversation, Flag, Turn

Answer = dict[str, Any]
_PRECEDENCE = {"active": 0, "shadow": 1, "excused": 2}


def queue(service: Service, principal: Principal, **given: Any) -> Answer:
    """A page of the queue; with its counts unless it continues one."""
    query = PageQuery(**{"limit": 200, **given})
    answer: Answer = review.list_candidates(service, principal, query).model_dump(mode="json")
    zone = _zone(service)
    for item in answer["items"]:
        item["occurred"] = _local(item["occurred_at"], zone)
    if query.cursor is None:
        filters = QueueFilters(**{name: value for name, value in given.items() if name not in ("limit", "cursor")})
        answer["counts"] = review.count_candidates(service, principal, filters).model_dump(mode="json")
    return answer


def opened(service: Service, principal: Principal, candidate: int) -> Answer:
    """The conversation of a candidate, as its screening saw it."""
    return _shown(service, review_decisions.get_candidate(candidate, service, principal)) | {"candidate": candidate}


def opened_conversation(service: Service, principal: Principal, conversation: str) -> Answer:
    """A conversation with its latest screening; its first candidate is the one to decide, where there is any."""
    found = review_decisions.get_conversation(conversation, service, principal)
    first = next((one.id for one in found.candidates if one.status in ("open", "claimed")), None)
    return _shown(service, found) | {"candidate": first or next((one.id for one in found.candidates), None)}


def claimed(service: Service, principal: Principal, candidate: int) -> Answer:
    """Hold a candidate, or hold it for longer."""
    held = review.claim_candidate(candidate, service, principal)
    return {"until": _clock(held.claimed_until, _zone(service), minutes=True)}


def released(service: Service, principal: Principal, candidate: int) -> Answer:
    """Give a candidate back."""
    review.release_candidate(candidate, service, principal)
    return {}


def decided(service: Service, principal: Principal, candidate: int, decision: Mapping[str, Any]) -> Answer:
    """Decide on a candidate, holding it first; one that is left undecided (unsure) goes back to the queue."""
    given = DecisionInput(**decision)
    review.claim_candidate(candidate, service, principal)
    made = review_decisions.decide(candidate, given, service, principal)
    if given.verdict is None:
        review.release_candidate(candidate, service, principal)
    return {"candidate": candidate, "decisions": [one.id for one in made.decisions]}


def undone(service: Service, principal: Principal, candidate: int, decisions: list[int]) -> Answer:
    """Take decisions back, the last one first; the candidate is then held by the user."""
    for decision in reversed(decisions):
        review_decisions.undo(decision, UndoInput(), service, principal)
    review.claim_candidate(candidate, service, principal)
    return {"candidate": candidate}


def reported(service: Service, principal: Principal, report: Mapping[str, Any]) -> Answer:
    """Report a missed incident."""
    return review_decisions.report_missed(MissedInput(**report), service, principal).model_dump(mode="json")


def withdrawn(service: Service, principal: Principal, report: int) -> Answer:
    """Withdraw a report."""
    return review_decisions.withdraw_missed(report, UndoInput(), service, principal).model_dump(mode="json")


def normalised(service: Service, principal: Principal, screening: int) -> Answer:
    """The turns of a screening as the rules read them, the flags where they stand in that text."""
    with service.store.read() as session:
        found = view.of_screening(session, service.bodies, principal, screening)
    conversation, seen = stored.shown(found.held, raw="raw" in principal.actions)
    turns = []
    for n, turn in enumerate(conversation.turns):
        clean = clean_text(turn.text)
        origin = range(len(turn.text)) if clean.origin is None else clean.origin
        marks = []
        for number, flag in _by_precedence(n, seen.flags):
            inside = [i for i, place in enumerate(origin) if (flag.start or 0) <= place < (flag.end or 0)]
            if inside and not _whole(flag, turn):
                marks.append(Mark(number, inside[0], inside[-1] + 1))
        turns.append({"text": clean.clean != turn.text, "pieces": _pieces(clean.clean, marks)})
    return {"screening": screening, "turns": turns}


class Operation(NamedTuple):
    """What a message of the page may ask for; `writes` are done one after another, in the order they came."""

    perform: Callable[..., Answer]
    writes: bool


OPERATIONS: Mapping[str, Operation] = {
    "queue": Operation(queue, False),
    "open": Operation(opened, False),
    "conversation": Operation(opened_conversation, False),
    "normalised": Operation(normalised, False),
    "claim": Operation(claimed, True),
    "release": Operation(released, True),
    "decide": Operation(decided, True),
    "undo": Operation(undone, True),
    "missed": Operation(reported, True),
    "withdraw": Operation(withdrawn, True),
}


def perform(service: Service, principal: Principal, name: str, given: Mapping[str, Any]) -> Answer:
    """Do what a message asks for; raises `ApiError` 422 where it is none."""
    wanted = OPERATIONS[name].perform
    try:
        inspect.signature(wanted).bind(service, principal, **given)
    except TypeError as error:
        raise ApiError(422, "invalid", f"message {name!r}: {error}") from None
    return wanted(service, principal, **given)


def standards(service: Service) -> list[Answer]:
    """The standards in force with their clauses, to choose from."""
    return [
        {
            "id": standard.id,
            "title": standard.title,
            "clauses": [
                {name: getattr(clause, name) for name in ("id", "level", "title", "text", "place", "signals")}
                for clause in standard.clauses
            ],
        }
        for standard in service.engine.screener.lexicon.standards.values()
    ]


def _shown(service: Service, found: ReviewView) -> Answer:
    conversation = msgspec.convert(found.conversation, Conversation, strict=False)
    flags = [msgspec.convert({k: v for k, v in one.items() if k != "n"}, Flag) for one in found.flags]
    zone = _zone(service)
    answer: Answer = found.model_dump(mode="json", exclude={"conversation"})
    for one in (*answer["previous_of_customer"], *answer["previous_of_agent"]):
        one["started_at"] = _local(one["started_at"], zone)
    for one in (*answer["decisions"], *answer["missed"]):
        one["at"] = _local(one["at"], zone)
    return answer | {
        "facts": {
            "agent": conversation.agent_id,
            "customer": conversation.customer_id,
            "vendor": conversation.vendor_id,
            "channel": conversation.channel,
            "started": _clock(conversation.started_at, zone, date=True),
            "ended_by": conversation.ended_by,
        },
        "turns": [_turn(n, conversation.turns, flags, zone) for n in range(len(conversation.turns))],
    }


def _turn(n: int, turns: tuple[Turn, ...], flags: list[Flag], zone: ZoneInfo) -> Answer:
    turn = turns[n]
    before = turns[n - 1] if n else None
    since = None if before is None else before.ends_at or before.at
    mine = _by_precedence(n, flags)
    marks = [Mark(number, flag.start or 0, flag.end or 0) for number, flag in mine if not _whole(flag, turn)]
    return {
        "role": turn.role,
        "kind": turn.kind,
        "time": _clock(turn.at, zone),
        "gap": None if since is None or turn.at is None else (turn.at - since).total_seconds(),
        "pieces": _pieces(turn.text, marks),
        "whole": [number for number, flag in mine if _whole(flag, turn)],
    }


def _by_precedence(n: int, flags: Any) -> list[tuple[int, Flag]]:
    mine = [(number, flag) for number, flag in enumerate(flags) if flag.turn == n]
    return sorted(mine, key=lambda one: _PRECEDENCE[one[1].status])


def _whole(flag: Flag, turn: Turn) -> bool:
    """Whether a flag judges the turn as such and marks no words of it."""
    return (flag.start, flag.end) == (0, len(turn.text)) and flag.source.kind in ("conduct", "model")


def _pieces(text: str, marks: list[Mark]) -> list[Answer]:
    """The text in pieces: the flags over each, and its runs as [start in code points, text, label, title]."""
    found = []
    start = 0
    for piece in spans.pieces(text, marks):
        runs = []
        for run in piece.runs:
            runs.append([start, run.text, run.label, run.title])
            start += len(run.text)
        found.append({"flags": list(piece.flags), "runs": runs})
    return found


def _zone(service: Service) -> ZoneInfo:
    return ZoneInfo(service.engine.screener.profile.timezone)


def _local(written: str | None, zone: ZoneInfo) -> str | None:
    return None if written is None else _clock(datetime.fromisoformat(written), zone, date=True)


def _clock(time: datetime | None, zone: ZoneInfo, *, date: bool = False, minutes: bool = False) -> str | None:
    if time is None:
        return None
    style = "%Y-%m-%d %H:%M" if date else "%H:%M" if minutes else "%H:%M:%S"
    return f"{time if time.tzinfo is None else time.astimezone(zone):{style}}"
