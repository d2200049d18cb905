"""Keeps conversations with their screenings: idempotent by id and content, every change a new revision."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, tzinfo
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec
from sqlalchemy import bindparam, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from api import results
from api.clock import from_datetime
from api.results import Cause, Keeping, Result, insert_many, table_of
from api.store import search
from api.store.engine import Store
from api.store.tables import Revision, StoredConversation, StoredScreening
from screening.normalise.clean import CleanBatch
from screening.types import Conversation, Screening

Outcome = Literal["created", "revised", "unchanged"]
_AT_ONCE = 500
_TRIES = 4
_CAME_BETWEEN = ("40001", "40P01")  # PostgreSQL: serialization failure, deadlock
_T = TypeVar("_T")


class Stored(NamedTuple):
    """Where a conversation was kept."""

    external_id: str
    revision: int
    screening_id: int
    outcome: Outcome


class InForce(NamedTuple):
    """A stored conversation as it stands: row ids, the number of its revision and whose it is."""

    conversation_id: int
    revision_id: int
    revision: int
    vendor_id: str | None
    content_hash: str


class Rescreen(NamedTuple):
    """A new screening of a stored revision, whose content `conversation` is."""

    conversation_id: int
    revision_id: int
    conversation: Conversation
    screening: Screening


class _New(NamedTuple):
    """A revision to keep, with the screening of its content."""

    conversation_id: int
    number: int
    content_hash: str
    conversation: Conversation
    screening: Screening
    cause: Cause


def packed(conversation: Conversation) -> bytes:
    """The conversation as canonical JSON, the bytes that are stored and hashed."""
    return msgspec.json.encode(conversation, order="deterministic")


def content_hash(conversation: Conversation) -> str:
    """The digest of a conversation's canonical JSON."""
    return "sha256:" + hashlib.sha256(packed(conversation)).hexdigest()


def known(session: Session, conversations: Sequence[Conversation]) -> list[Stored | None]:
    """For each conversation where the very same content is kept already, None where it is new or differs."""
    found: dict[str, tuple[str, int, int]] = {}
    for part in _parts([conversation.id for conversation in conversations]):
        statement = (
            select(StoredConversation.external_id, Revision.content_hash, Revision.number, StoredScreening.id)
            .join(Revision, _in_force())
            .join(StoredScreening, (StoredScreening.conversation_id == StoredConversation.id) & StoredScreening.latest)
            .where(StoredConversation.external_id.in_(part))
        )
        found |= {row[0]: (row[1], row[2], row[3]) for row in session.execute(statement)}
    stored: list[Stored | None] = []
    for conversation in conversations:
        entry = found.get(conversation.id)
        same = entry is not None and entry[0] == content_hash(conversation)
        stored.append(Stored(conversation.id, entry[1], entry[2], "unchanged") if entry and same else None)
    return stored


def in_force(session: Session, external_ids: Sequence[str], *, lock: bool = False) -> dict[str, InForce]:
    """The stored conversations among these ids, by id; `lock` keeps other writers from them until the session ends."""
    found: dict[str, InForce] = {}
    for part in _parts(external_ids):
        statement = (
            select(
                StoredConversation.external_id,
                StoredConversation.id,
                Revision.id,
                StoredConversation.revision,
                StoredConversation.vendor_id,
                Revision.content_hash,
            )
            .join(Revision, _in_force())
            .where(StoredConversation.external_id.in_(part))
            .order_by(StoredConversation.id)  # one order for all writers: none waits for another in a circle
        )
        if lock:
            statement = statement.with_for_update(of=StoredConversation)
        found |= {row[0]: InForce(*row[1:]) for row in session.execute(statement)}
    return found


def keep(session: Session, work: Iterable[tuple[Conversation, Screening]], keeping: Keeping, at: int) -> list[Stored]:
    """Keep screened conversations in a writing session, many at once; where an id comes twice, in order.

    Raises `IntegrityError` where another writer brought one of the ids at the same moment; `retried` tries again then.
    """
    items = list(work)
    waves: list[dict[str, int]] = []
    for place, (conversation, _) in enumerate(items):
        wave = next((wave for wave in waves if conversation.id not in wave), None)
        if wave is None:
            wave = {}
            waves.append(wave)
        wave[conversation.id] = place
    kept: dict[int, Stored] = {}
    for wave in waves:
        places = list(wave.values())
        kept |= zip(places, _keep_once(session, [items[place] for place in places], keeping, at), strict=True)
    return [kept[place] for place in range(len(items))]


def retried(store: Store, write: Callable[[Session], _T]) -> _T:
    """Run a writing session, again where another writer came between: the next run sees what that one has kept."""
    for _ in range(_TRIES - 1):
        try:
            with store.write() as session:
                return write(session)
        except DBAPIError as error:
            if not isinstance(error, IntegrityError) and getattr(error.orig, "sqlstate", None) not in _CAME_BETWEEN:
                raise
    with store.write() as session:
        return write(session)


def _keep_once(session: Session, items: Sequence[tuple[Conversation, Screening]], keeping: Keeping, at: int) -> list[Stored]:
    """Every id occurs once."""
    before = in_force(session, [conversation.id for conversation, _ in items], lock=True)
    same = known(session, [conversation for conversation, _ in items])
    new = [item for item, there in zip(items, same, strict=True) if there is None and item[0].id not in before]
    new.sort(key=lambda item: item[0].id)  # one order for all writers here, too: the index on the id makes them wait
    changed = [item for item, there in zip(items, same, strict=True) if there is None and item[0].id in before]
    rows = [
        _described(conversation, keeping, at) | {"external_id": conversation.id, "revision": 1, "created_at": at}
        for conversation, _ in new
    ]
    created = insert_many(session, StoredConversation, rows)
    first = [
        _New(id_, 1, content_hash(conversation), conversation, screening, "ingest")
        for id_, (conversation, screening) in zip(created, new, strict=True)
    ]
    further = [
        _New(entry.conversation_id, entry.revision + 1, content_hash(conversation), conversation, screening, "revision")
        for conversation, screening in changed
        for entry in (before[conversation.id],)
    ]
    _redescribe(session, further, keeping, at)
    screenings = iter(_add(session, [*first, *further], keeping, at))
    made: dict[str, Stored] = {}
    outcome: Outcome
    for part, outcome in ((first, "created"), (further, "revised")):
        for revision in part:
            name = revision.conversation.id
            made[name] = Stored(name, revision.number, next(screenings), outcome)
    return [made[item[0].id] if there is None else there for item, there in zip(items, same, strict=True)]


def revise_attributes(
    session: Session, base: InForce, conversation: Conversation, screening: Screening, keeping: Keeping, at: int
) -> Stored | None:
    """Keep a conversation to which attributes were added later; None where `base` is no longer in force.

    The revision keeps the content hash of what was sent: who sends that again does not undo what was added.
    """
    present = in_force(session, [conversation.id], lock=True).get(conversation.id)
    if present is None or present.revision_id != base.revision_id:
        return None
    number = base.revision + 1
    revision = _New(base.conversation_id, number, base.content_hash, conversation, screening, "attributes")
    _redescribe(session, [revision], keeping, at)
    (found,) = _add(session, [revision], keeping, at)
    return Stored(conversation.id, number, found, "revised")


def rescreened(session: Session, work: Sequence[Rescreen], keeping: Keeping, at: int) -> list[int | None]:
    """Keep new screenings of stored revisions; their ids, None where the revision is no longer in force."""
    present = in_force(session, [item.conversation.id for item in work], lock=True)
    live = [(entry := present.get(item.conversation.id)) is not None and entry.revision_id == item.revision_id for item in work]
    added = [
        Result(item.conversation_id, item.revision_id, item.conversation, item.screening, "rescreen")
        for item, is_live in zip(work, live, strict=True)
        if is_live
    ]
    ids = iter(results.add(session, added, keeping, at))
    return [next(ids) if is_live else None for is_live in live]


def _add(session: Session, revisions: Sequence[_New], keeping: Keeping, at: int) -> list[int]:
    """Insert revisions with their search text and screenings; the screenings' ids."""
    if not revisions:
        return []
    rows = [
        {
            "conversation_id": new.conversation_id,
            "number": new.number,
            "content_hash": new.content_hash,
            "body": keeping.bodies.pack(packed(new.conversation)),
            "created_at": at,
        }
        for new in revisions
    ]
    ids = insert_many(session, Revision, rows)
    if not keeping.bodies.encrypts:  # bigrams would tell the text
        texts = CleanBatch([turn.text for new in revisions for turn in new.conversation.turns])
        clean = map(texts.clean, range(len(texts)))
        found = {id_: [next(clean) for _ in new.conversation.turns] for id_, new in zip(ids, revisions, strict=True)}
        search.add(session, found)
    added = [
        Result(new.conversation_id, id_, new.conversation, new.screening, new.cause)
        for id_, new in zip(ids, revisions, strict=True)
    ]
    return results.add(session, added, keeping, at)


def _described(conversation: Conversation, keeping: Keeping, at: int) -> dict[str, Any]:
    return {
        "vendor_id": conversation.vendor_id,
        "agent_id": conversation.agent_id,
        "customer_id": conversation.customer_id,
        "channel": conversation.channel,
        "started_at": _micros(conversation.started_at, keeping.zone_of(conversation.vendor_id)),
        "updated_at": at,
    }


def _micros(moment: datetime | None, zone: tzinfo) -> int | None:
    if moment is None:
        return None
    return from_datetime(moment if moment.tzinfo is not None else moment.replace(tzinfo=zone))


def _redescribe(session: Session, revisions: Sequence[_New], keeping: Keeping, at: int) -> None:
    if not revisions:
        return
    table = table_of(StoredConversation)
    names = [*_described(revisions[0].conversation, keeping, at), "revision"]
    statement = update(table).where(table.c.id == bindparam("row")).values({name: bindparam(f"new_{name}") for name in names})
    values = [
        {f"new_{name}": value for name, value in _described(new.conversation, keeping, at).items()}
        | {"new_revision": new.number, "row": new.conversation_id}
        for new in revisions
    ]
    session.execute(statement, values)


def _in_force() -> Any:
    return (Revision.conversation_id == StoredConversation.id) & (Revision.number == StoredConversation.revision)


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(ids), _AT_ONCE):
        yield ids[at : at + _AT_ONCE]
