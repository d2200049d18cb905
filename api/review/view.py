"""What a reviewer looks at: the conversation with its flags and candidates, what was decided, and what came before."""

from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from api import stored
from api.access import Principal, scoped, visible
from api.errors import not_found
from api.review import history
from api.review.history import Entry, Report
from api.review.queue import Item, items
from api.store.bodies import Bodies
from api.store.tables import StoredCandidate, StoredConversation, StoredScreening

PREVIOUS = 10


class Previous(NamedTuple):
    """An earlier conversation: its row, the gravest level that its latest screening found, and its confirmed candidates' clauses."""

    row: StoredConversation
    level: str | None
    confirmed: list[str]


class View(NamedTuple):
    """A screening with all that belongs to it; `latest` is the id of the screening in force, which may be another."""

    held: stored.Held
    latest: int
    candidates: list[Item]
    decisions: list[Entry]
    missed: list[Report]
    of_customer: list[Previous]
    of_agent: list[Previous]


def candidate(session: Session, principal: Principal, candidate_id: int) -> StoredCandidate:
    """A candidate that the principal may see; raises 404. Who sees one vendor's data only sees what is decided."""
    found = session.get(StoredCandidate, candidate_id)
    if found is None or not visible(principal, found.vendor_id) or not _shown(principal, found):
        raise not_found(f"candidate {candidate_id}")
    return found


def of_screening(session: Session, bodies: Bodies, principal: Principal, screening_id: int) -> View:
    """The view of a screening, the latest or an earlier one; raises 404."""
    return _view(session, principal, stored.screening(session, bodies, principal, screening_id))


def of_conversation(session: Session, bodies: Bodies, principal: Principal, external_id: str) -> View:
    """The view of a conversation's latest screening; raises 404."""
    return _view(session, principal, stored.conversation(session, bodies, principal, external_id))


def _view(session: Session, principal: Principal, held: stored.Held) -> View:
    row = held.row
    own = (StoredScreening.conversation_id == row.id) & StoredScreening.latest
    candidates = session.scalars(
        select(StoredCandidate).where(StoredCandidate.screening_id == held.run.id).order_by(StoredCandidate.n)
    )
    shown = [one for one in candidates if _shown(principal, one)]
    ids = {one.id for one in shown}
    decisions = [
        entry
        for entry in history.of_conversation(session, row.id)
        if principal.vendor_id is None or entry.decision.candidate_id in ids
    ]
    return View(
        held,
        held.run.id if held.run.latest else session.scalars(select(StoredScreening.id).where(own)).one(),
        items(session, shown),
        decisions,
        [] if principal.vendor_id is not None else history.reports(session, row.id),
        _previous(session, principal, row, "customer_id"),
        _previous(session, principal, row, "agent_id"),
    )


def _shown(principal: Principal, found: StoredCandidate) -> bool:
    return principal.vendor_id is None or found.status == "decided"


def _previous(session: Session, principal: Principal, row: StoredConversation, name: str) -> list[Previous]:
    """The last conversations with the same customer, or of the same agent, that began before this one."""
    column, value = getattr(StoredConversation, name), getattr(row, name)
    if value is None or row.started_at is None:
        return []
    statement = scoped(select(StoredConversation), principal, StoredConversation.vendor_id).where(
        column == value,
        StoredConversation.started_at <= row.started_at,
        StoredConversation.id != row.id,
    )
    rows = session.scalars(statement.order_by(StoredConversation.started_at.desc()).limit(PREVIOUS)).all()
    ids = [one.id for one in rows]
    latest = select(StoredScreening.conversation_id, StoredScreening.level).where(
        StoredScreening.conversation_id.in_(ids), StoredScreening.latest
    )
    levels = {found[0]: found[1] for found in session.execute(latest)}
    decided = select(StoredCandidate.conversation_id, StoredCandidate.decided_clause).where(
        StoredCandidate.conversation_id.in_(ids),
        StoredCandidate.status == "decided",
        StoredCandidate.decided_verdict == "confirmed",
    )
    confirmed: dict[int, list[str]] = {}
    for conversation_id, clause in session.execute(decided.order_by(StoredCandidate.id)):
        if clause is not None:
            confirmed.setdefault(conversation_id, []).append(clause)
    return [Previous(one, levels.get(one.id), confirmed.get(one.id, [])) for one in rows]
