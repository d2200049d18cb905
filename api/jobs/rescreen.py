"""Stored conversations screened again under the rules as they are now: new screenings, decisions untouched."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from api import ingest, results, wiring
from api.engine import screened
from api.ingest import Rescreen
from api.jobs import found
from api.jobs.kind import Block, Commit, Kind, Outcome, Refusal, Task
from api.store.tables import Revision, StoredConversation, StoredScreening
from screening.errors import InputError
from screening.types import Conversation

BLOCK = 200


class Parameters(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which conversations: all, or those that fit. Times are microseconds, half-open; `level` is the latest screening's."""

    vendor_id: str | None = None
    agent_id: str | None = None
    channel: str | None = None
    level: str | None = None
    since: int | None = None
    until: int | None = None
    incomplete: bool | None = None


def selected(parameters: Parameters, vendor_id: str | None) -> Select[int]:
    """Selects the row ids of the conversations, scoped to the vendor's own."""
    statement = select(StoredConversation.id).join(
        StoredScreening, (StoredScreening.conversation_id == StoredConversation.id) & StoredScreening.latest
    )
    equal: list[tuple[Any, object]] = [
        (StoredConversation.vendor_id, parameters.vendor_id),
        (StoredConversation.vendor_id, vendor_id),
        (StoredConversation.agent_id, parameters.agent_id),
        (StoredConversation.channel, parameters.channel),
        (StoredScreening.level, parameters.level),
        (StoredScreening.incomplete, parameters.incomplete),
    ]
    for column, value in equal:
        if value is not None:
            statement = statement.where(column == value)
    if parameters.since is not None:
        statement = statement.where(StoredConversation.started_at >= parameters.since)
    if parameters.until is not None:
        statement = statement.where(StoredConversation.started_at < parameters.until)
    return statement


def plan(task: Task, after: int) -> Iterator[Block]:
    """The conversations by row id, so that planning goes on where it was broken off; the ids are the places."""
    parameters = msgspec.json.decode(task.parameters, type=Parameters)
    statement = selected(parameters, task.vendor_id).order_by(StoredConversation.id).limit(BLOCK)
    while True:
        with task.service.store.read() as session:
            ids = list(session.scalars(statement.where(StoredConversation.id > after)))
        if not ids:
            return
        yield Block([str(id_).encode() for id_ in ids], ids[0], ids[-1], [])
        after = ids[-1]


def perform(task: Task, raw: Sequence[msgspec.Raw]) -> Commit:
    """Screen what the rules in force have not seen yet; the same versions would give the same bytes."""
    service = task.service
    screener = service.engine.screener
    ids = [int(bytes(one)) for one in raw]
    statement = (
        select(
            StoredConversation.id,
            Revision.id,
            Revision.body,
            StoredConversation.vendor_id,
            StoredScreening.versions,
            StoredScreening.incomplete,
        )
        .join(Revision, (Revision.conversation_id == StoredConversation.id) & (Revision.number == StoredConversation.revision))
        .join(StoredScreening, (StoredScreening.conversation_id == StoredConversation.id) & StoredScreening.latest)
        .where(StoredConversation.id.in_(ids))
        .order_by(StoredConversation.id)
    )
    with service.store.read() as session:
        rows = list(session.execute(statement))
    present = {vendor: results.digest_of(screener.versions_of(vendor)) for vendor in {row.vendor_id for row in rows}}
    old = [
        (id_, revision, body)
        for id_, revision, body, vendor, versions, incomplete in rows
        if incomplete or versions != present[vendor]
    ]
    conversations = [msgspec.json.decode(service.bodies.unpack(body), type=Conversation) for _, _, body in old]
    refusals: list[Refusal] = []
    work: list[Rescreen] = []
    for (id_, revision, _), conversation, result in zip(old, conversations, screened(screener, conversations), strict=True):
        if isinstance(result, InputError):
            refusals.append(Refusal(id_, "invalid", str(result), external_id=conversation.id))
        else:
            work.append(Rescreen(id_, revision, conversation, result))
    keeping = wiring.keeping(service)

    def commit(session: Session, at: int) -> Outcome:
        made = ingest.rescreened(session, work, keeping, at)
        new = sum(screening is not None for screening in made)
        # what changed meanwhile was screened under the rules in force when it changed
        counts = {"rescreened": new, "unchanged": len(ids) - new - len(refusals)}
        held = found.packed([screening for screening in made if screening is not None])
        return Outcome({name: count for name, count in counts.items() if count}, refusals, held)

    return commit


def named(raw: msgspec.Raw) -> tuple[int, str | None]:
    """The row id of the conversation stands for its place."""
    return int(bytes(raw)), None


KIND = Kind(plan, perform, named)
