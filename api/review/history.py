"""Who decided what, and which verdicts are in force."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session, aliased

from api.store.tables import StoredCandidate, StoredFlag
from api.store.tables_access import User
from api.store.tables_review import Decision, MissedReport


class Entry(NamedTuple):
    """A decision, who made it, the number of the flag it is on, and whether it was undone since."""

    decision: Decision
    user: str
    flag: int | None
    undone: bool


class Report(NamedTuple):
    """A report of a missed incident, who made it, and whether it was withdrawn since."""

    report: MissedReport
    user: str
    undone: bool


def of_candidate(session: Session, candidate: StoredCandidate) -> list[Entry]:
    """All decisions on a candidate and on its flags in order, with those on its earlier selves: same conversation, same clause."""
    selves = select(StoredCandidate.id).where(
        StoredCandidate.conversation_id == candidate.conversation_id,
        StoredCandidate.standard == candidate.standard,
        StoredCandidate.clause == candidate.clause,
    )
    return _entries(session, Decision.candidate_id.in_(selves))


def of_conversation(session: Session, conversation_id: int) -> list[Entry]:
    """All decisions on a conversation in order."""
    return _entries(session, Decision.conversation_id == conversation_id)


def of_decisions(session: Session, decisions: Sequence[Decision]) -> list[Entry]:
    """The entries of decisions."""
    return _entries(session, Decision.id.in_([decision.id for decision in decisions]))


def _entries(session: Session, condition: ColumnElement[bool]) -> list[Entry]:
    undo = aliased(Decision)
    statement = (
        select(Decision, User.name, StoredFlag.n, undo.id)
        .join(User, User.id == Decision.user_id)
        .outerjoin(StoredFlag, StoredFlag.id == Decision.flag_id)
        .outerjoin(undo, undo.undoes == Decision.id)
        .where(condition)
        .order_by(Decision.id)
    )
    return [Entry(row[0], row[1], row[2], row[3] is not None) for row in session.execute(statement)]


def reports(session: Session, conversation_id: int) -> list[Report]:
    """All reports of missed incidents in a conversation in order; what only withdraws one is not listed."""
    undo = aliased(MissedReport)
    statement = (
        select(MissedReport, User.name, undo.id)
        .join(User, User.id == MissedReport.user_id)
        .outerjoin(undo, undo.undoes == MissedReport.id)
        .where(MissedReport.conversation_id == conversation_id, MissedReport.undoes.is_(None))
        .order_by(MissedReport.id)
    )
    return [Report(row[0], row[1], row[2] is not None) for row in session.execute(statement)]


def flag_verdict_in_force() -> ColumnElement[bool]:
    """Whether a row of `Decision` is the verdict in force on its flag: not undone, and the last of those."""
    undo, later, undo_later = aliased(Decision), aliased(Decision), aliased(Decision)
    undone = select(undo.id).where(undo.undoes == Decision.id).exists()
    later_undone = select(undo_later.id).where(undo_later.undoes == later.id).exists()
    same_flag = (later.flag_id == Decision.flag_id) & (later.kind == "flag") & (later.id > Decision.id)
    superseded = select(later.id).where(same_flag, ~later_undone).exists()
    return and_(Decision.kind == "flag", ~undone, ~superseded)
