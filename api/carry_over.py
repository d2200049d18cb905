"""What people decided on earlier candidates of a conversation, for the candidates of a later screening.

A counterpart is a candidate of the same clause resting on words that overlap, in a turn whose text did not change.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from api.store.bodies import Bodies
from api.store.tables import Revision, StoredCandidate, StoredFlag, StoredScreening
from screening.types import Candidate, Conversation, Flag

_FRESH: dict[str, Any] = {
    "status": "open",
    "assignee_id": None,
    "decision_id": None,
    "decided_verdict": None,
    "decided_level": None,
    "decided_clause": None,
    "decided_severe": None,
}
_DECIDED = ("decision_id", "decided_verdict", "decided_level", "decided_clause", "decided_severe")


class _Place(NamedTuple):
    """Where a flag stands; all null for one on the whole conversation."""

    signal: str
    turn: int | None
    start: int | None
    end: int | None


class Before:
    """The candidates in force of conversations (row id to present content) that are about to get a new screening.

    They are locked until the session ends, so that no decision slips in between.
    """

    def __init__(self, session: Session, conversations: Mapping[int, Conversation], bodies: Bodies):
        self._session = session
        self._candidates: dict[int, list[StoredCandidate]] = {}
        self._places: dict[int, list[_Place]] = {}
        self._handed_on: set[int] = set()
        if not conversations:
            return
        statement = (
            select(StoredCandidate)
            .where(StoredCandidate.conversation_id.in_(conversations), StoredCandidate.status != "outdated")
            .order_by(StoredCandidate.id)
            .with_for_update()
        )
        found = list(session.scalars(statement))
        for row in found:
            self._candidates.setdefault(row.conversation_id, []).append(row)
        self._place(session, [row for row in found if _matters(row)], conversations, bodies)

    def heritage(self, conversation_id: int, candidate: Candidate, evidence: Sequence[Flag]) -> dict[str, Any]:
        """The columns of a new candidate that earlier ones decide: its status, the decision in force, who is to look at it."""
        places = [_Place(flag.signal, flag.turn, flag.start, flag.end) for flag in evidence]
        alike = [
            row
            for row in self._candidates.get(conversation_id, ())
            if (row.standard, row.clause) == (candidate.standard, candidate.clause)
            and _overlap(self._places.get(row.id, ()), places)
        ]
        decided = [row for row in alike if row.status == "decided"]
        if decided:
            self._handed_on.update(row.id for row in decided)
            last = max(decided, key=lambda row: (row.decision_id or 0, row.id))
            return _FRESH | {"status": "decided"} | {name: getattr(last, name) for name in _DECIDED}
        assigned = next((row.assignee_id for row in alike if row.assignee_id is not None), None)
        return _FRESH | {"assignee_id": assigned}

    def retire(self) -> None:
        """Mark as outdated what is not decided, and what handed its decision on."""
        gone = [
            row.id for rows in self._candidates.values() for row in rows if row.status != "decided" or row.id in self._handed_on
        ]
        if gone:
            values = {"status": "outdated", "claimed_until": None}
            self._session.execute(
                update(StoredCandidate).where(StoredCandidate.id.in_(gone)).values(values),
                execution_options={"synchronize_session": False},
            )

    def _place(
        self, session: Session, rows: Sequence[StoredCandidate], conversations: Mapping[int, Conversation], bodies: Bodies
    ) -> None:
        if not rows:
            return
        screenings = {row.screening_id for row in rows}
        flags: dict[tuple[int, int], _Place] = {}
        for flag in session.scalars(select(StoredFlag).where(StoredFlag.screening_id.in_(screenings))):
            flags[flag.screening_id, flag.n] = _Place(flag.signal, flag.turn, flag.start, flag.end)
        statement = (
            select(StoredScreening.id, Revision.body)
            .join(Revision, Revision.id == StoredScreening.revision_id)
            .where(StoredScreening.id.in_(screenings))
        )
        texts = {
            id_: _texts(msgspec.json.decode(bodies.unpack(body), type=Conversation)) for id_, body in session.execute(statement)
        }
        for row in rows:
            then, now = texts[row.screening_id], _texts(conversations[row.conversation_id])
            numbers = msgspec.json.decode(row.flags, type=list[int])
            places = [flags[row.screening_id, n] for n in numbers]
            self._places[row.id] = [place for place in places if place.turn is None or then[place.turn] == now.get(place.turn)]


def _matters(row: StoredCandidate) -> bool:
    return row.status == "decided" or row.assignee_id is not None


def _texts(conversation: Conversation) -> dict[int, tuple[str, str]]:
    return {i: (turn.role, turn.text) for i, turn in enumerate(conversation.turns)}


def _overlap(before: Iterable[_Place], after: Sequence[_Place]) -> bool:
    return any(_touch(one, other) for one in before for other in after)


def _touch(one: _Place, other: _Place) -> bool:
    if one.turn != other.turn:
        return False
    if one.start is None or one.end is None or other.start is None or other.end is None:
        return one.signal == other.signal
    return (one.start < other.end and other.start < one.end) or (one.start, one.end) == (other.start, other.end)
