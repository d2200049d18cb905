"""Reports of incidents that the machine did not find: the words, where they stand, and the clause they break."""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from api.access import Principal, visible
from api.errors import ApiError, conflict, not_found
from api.review.claims import outdated, person
from api.review.decisions import lock_conversation
from api.store.tables import StoredConversation, StoredScreening
from api.store.tables_review import MissedReport
from api.stored import Held
from lexicons.schema import Clause, Standard


class Marking(NamedTuple):
    """Marked words: the half-open range of code points in the original text of a turn, the words themselves, and the clause.

    `signal` says which of the clause's signals it shows; None where the clause has one or none.
    """

    screening_id: int
    turn: int
    start: int
    end: int
    quote: str
    standard: str
    clause: str
    signal: str | None = None
    note: str | None = None


def report(
    session: Session, principal: Principal, held: Held, marking: Marking, standards: Mapping[str, Standard], now: int
) -> MissedReport:
    """Add a report on the conversation's latest screening (`held`).

    Raises 409 where that is another than the reviewer saw, or the words were reported already; 422 where the words do not stand
    there or the clause does not lead from the signal.
    """
    user = person(principal)
    lock_conversation(session, held.row.id)
    if marking.screening_id != held.run.id or not _still_latest(session, held):
        own = session.get(StoredScreening, marking.screening_id)
        if own is None or own.conversation_id != held.row.id:
            message = f"screening {marking.screening_id} is none of conversation {held.row.external_id!r}"
            raise ApiError(422, "invalid", message, "/screening_id")
        raise outdated(session, held.row.id, marking.screening_id)
    _check_words(held, marking)
    clause = _clause(marking, standards)
    signal = _signal(marking, clause)
    _refuse_twice(session, held, marking)
    made = MissedReport(
        conversation_id=held.row.id,
        revision_id=held.revision.id,
        screening_id=held.run.id,
        versions=held.run.versions,
        turn=marking.turn,
        start=marking.start,
        end=marking.end,
        standard=marking.standard,
        clause=clause.id,
        level=clause.level,
        signal=signal,
        note=marking.note,
        user_id=user,
        at=now,
    )
    session.add(made)
    session.flush()
    return made


def withdraw(session: Session, principal: Principal, report_id: int, note: str | None, now: int) -> MissedReport:
    """Take a report back by adding one that says so; raises 404, 403 for another's (but for a lead), 409 where it is done already."""
    user = person(principal)
    found = session.get(MissedReport, report_id)
    conversation = None if found is None else session.get_one(StoredConversation, found.conversation_id)
    if found is None or conversation is None or found.undoes is not None or not visible(principal, conversation.vendor_id):
        raise not_found(f"report {report_id}")
    if found.user_id != user and "assign" not in principal.actions:
        raise ApiError(403, "forbidden", "this is another's report; only a lead may withdraw it")
    lock_conversation(session, conversation.id)
    if session.scalar(select(MissedReport.id).where(MissedReport.undoes == report_id)) is not None:
        raise conflict("already_undone", f"report {report_id} is withdrawn already")
    names = [
        column.name for column in MissedReport.__table__.columns if column.name not in ("id", "undoes", "note", "user_id", "at")
    ]
    made = MissedReport(**{name: getattr(found, name) for name in names}, undoes=report_id, note=note, user_id=user, at=now)
    session.add(made)
    session.flush()
    return made


def _still_latest(session: Session, held: Held) -> bool:
    return bool(session.scalar(select(StoredScreening.latest).where(StoredScreening.id == held.run.id)))


def _check_words(held: Held, marking: Marking) -> None:
    turns = held.conversation.turns
    if marking.turn >= len(turns):
        raise ApiError(422, "invalid", f"there is no turn {marking.turn}; the conversation has {len(turns)}", "/turn")
    text = turns[marking.turn].text
    if not marking.start < marking.end <= len(text):
        message = f"start and end must hold 0 <= start < end <= {len(text)}, the length of turn {marking.turn} in code points"
        raise ApiError(422, "invalid", message, "/end")
    if text[marking.start : marking.end] != marking.quote:
        message = f"the words from {marking.start} to {marking.end} in turn {marking.turn} are not those of `quote`"
        raise ApiError(422, "quote_mismatch", message, "/quote")


def _clause(marking: Marking, standards: Mapping[str, Standard]) -> Clause:
    if marking.standard not in standards:
        raise ApiError(
            422, "invalid", f"there is no standard {marking.standard!r}; there are: {', '.join(standards)}", "/standard"
        )
    for clause in standards[marking.standard].clauses:
        if clause.id == marking.clause:
            return clause
    raise ApiError(422, "invalid", f"standard {marking.standard} has no clause {marking.clause!r}", "/clause")


def _signal(marking: Marking, clause: Clause) -> str | None:
    if marking.signal is None:
        if len(clause.signals) > 1:
            raise ApiError(422, "invalid", f"say which signal it is: {', '.join(clause.signals)}", "/signal")
        return clause.signals[0] if clause.signals else None
    if marking.signal not in clause.signals:
        known = ", ".join(clause.signals) or "none"
        raise ApiError(422, "invalid", f"clause {clause.id} has no signal {marking.signal!r}; it has: {known}", "/signal")
    return marking.signal


def _refuse_twice(session: Session, held: Held, marking: Marking) -> None:
    undo = aliased(MissedReport)
    same = {name: getattr(marking, name) for name in ("turn", "start", "end", "standard", "clause")}
    statement = select(MissedReport.id).filter_by(revision_id=held.revision.id, undoes=None, **same)
    earlier = session.scalar(statement.where(~select(undo.id).where(undo.undoes == MissedReport.id).exists()))
    if earlier is not None:
        raise conflict("already_reported", f"report {earlier} says the same about these words")
