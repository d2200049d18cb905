"""Brings one screened conversation in for a principal: whose it is, whether it is there already, and keeping it."""

import msgspec
from sqlalchemy.orm import Session

from api import ingest, stored
from api.access import Principal, owned, visible
from api.errors import conflict
from api.ingest import InForce, Stored
from api.wiring import Service, keeping
from screening.replay import encode
from screening.types import Conversation, Screening


def owned_by(principal: Principal, conversation: Conversation) -> Conversation:
    """The conversation as the principal's own vendor's; raises 403 where it names another's."""
    vendor = owned(principal, conversation.vendor_id)
    return conversation if vendor == conversation.vendor_id else msgspec.structs.replace(conversation, vendor_id=vendor)


def known(service: Service, principal: Principal, conversation: Conversation) -> tuple[Stored, bytes] | None:
    """Where the very same content is kept already, with its screening; raises 409 where the id is another vendor's."""
    with service.store.read() as session:
        _check_owner(principal, ingest.in_force(session, [conversation.id]).get(conversation.id))
        (kept,) = ingest.known(session, [conversation])
        if kept is None:
            return None
        return kept, stored.screening_bytes(session, service.bodies, kept.screening_id)


def keep(service: Service, principal: Principal, conversation: Conversation, screening: Screening) -> tuple[Stored, bytes]:
    """Keep the conversation; gives where, and the screening in force. Raises 409 where the id is another vendor's."""
    how, at = keeping(service), service.clock()

    def write(session: Session) -> tuple[Stored, bytes]:
        _check_owner(principal, ingest.in_force(session, [conversation.id], lock=True).get(conversation.id))
        (kept,) = ingest.keep(session, [(conversation, screening)], how, at)
        if kept.outcome == "unchanged":  # another request brought the same a moment ago
            return kept, stored.screening_bytes(session, service.bodies, kept.screening_id)
        return kept, encode(screening)

    return ingest.retried(service.store, write)


def _check_owner(principal: Principal, entry: InForce | None) -> None:
    if entry is not None and not visible(principal, entry.vendor_id):
        raise conflict("id_taken", "this id belongs to another conversation; give yours one of its own", "/id")
