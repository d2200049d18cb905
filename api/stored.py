"""Reads what was kept: a conversation with its latest screening, a single screening; and shows both as the caller may see them."""

from typing import Any, NamedTuple

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from api import audit
from api.access import Principal, visible
from api.errors import not_found
from api.masking import masked_conversation, masked_screening
from api.store.bodies import Bodies
from api.store.tables import Revision, StoredConversation, StoredScreening
from screening.types import Conversation, Screening


class Held(NamedTuple):
    """A screening with the revision that it screened and the conversation's row."""

    row: StoredConversation
    revision: Revision
    run: StoredScreening
    conversation: Conversation
    screening: Screening


def conversation(session: Session, bodies: Bodies, principal: Principal, external_id: str) -> Held:
    """A conversation with its latest screening; raises 404 where there is none that the principal may see."""
    found = _held(session, bodies, (StoredConversation.external_id == external_id) & StoredScreening.latest)
    if found is None or not visible(principal, found.row.vendor_id):
        raise not_found(f"conversation {external_id!r}")
    return found


def screening(session: Session, bodies: Bodies, principal: Principal, screening_id: int) -> Held:
    """A screening, the latest or an earlier one; raises 404 where there is none that the principal may see."""
    found = _held(session, bodies, StoredScreening.id == screening_id)
    if found is None or not visible(principal, found.row.vendor_id):
        raise not_found(f"screening {screening_id}")
    return found


def screening_bytes(session: Session, bodies: Bodies, screening_id: int) -> bytes:
    """A screening's own bytes, as they were when it was made."""
    return bodies.unpack(session.scalars(select(StoredScreening.body).where(StoredScreening.id == screening_id)).one())


def revisions(session: Session, conversation_id: int) -> list[Revision]:
    """All revisions of a conversation in order."""
    statement = select(Revision).where(Revision.conversation_id == conversation_id).order_by(Revision.number)
    return list(session.scalars(statement))


def _held(session: Session, bodies: Bodies, condition: Any) -> Held | None:
    statement = (
        select(StoredConversation, Revision, StoredScreening)
        .join(StoredScreening, StoredScreening.conversation_id == StoredConversation.id)
        .join(Revision, Revision.id == StoredScreening.revision_id)
    )
    found = session.execute(statement.where(condition)).first()
    if found is None:
        return None
    row, revision, run = found
    return Held(
        row,
        revision,
        run,
        msgspec.json.decode(bodies.unpack(revision.body), type=Conversation),
        msgspec.json.decode(bodies.unpack(run.body), type=Screening),
    )


def raw_for(principal: Principal, masked: bool) -> bool:
    """Whether the principal gets the raw text, given that he asked for the `masked` one or not."""
    return "raw" in principal.actions and not masked


def shown(held: Held, *, raw: bool) -> tuple[Conversation, Screening]:
    """Conversation and screening as they go out: as they are, or with personal data covered."""
    if raw:
        return held.conversation, held.screening
    covered = masked_conversation(held.conversation)
    return covered, masked_screening(held.screening, covered)


def note_view(session: Session, principal: Principal, held: Held, at: int) -> None:
    """Put into the audit log, in a writing session, that the raw text of a conversation was looked at."""
    detail: dict[str, object] = {"revision": held.revision.number, "screening": held.run.id}
    subject = f"conversation:{held.row.external_id}"[:200]
    audit.record(session, at=at, actor=principal.actor, action="raw_viewed", subject=subject, detail=detail)
