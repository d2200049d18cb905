"""Stored texts sealed anew with the key in force, after a change of keys; where encryption was turned off, opened for good.

Texts of conversations and screenings go block by block; the inputs of other jobs, and the search index that would tell the
texts, are seen to in the transaction that ends the job. Uploads that still lie in the spool keep their key.
"""

from collections.abc import Iterator, Sequence

import msgspec
from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from api.jobs.kind import Block, Commit, Kind, Outcome, Refusal, Task
from api.results import table_of
from api.store import search
from api.store.bodies import BodyError
from api.store.tables import Revision, StoredConversation, StoredScreening
from api.store.tables_jobs import JobItem
from screening.normalise.clean import clean_text
from screening.types import Conversation

BLOCK = 200
_ITEMS = 50


class Parameters(msgspec.Struct, frozen=True):
    """Nothing is to be chosen: all texts."""


def plan(task: Task, after: int) -> Iterator[Block]:
    """All revisions by row id."""
    statement = select(Revision.id).order_by(Revision.id).limit(BLOCK)
    while True:
        with task.service.store.read() as session:
            ids = list(session.scalars(statement.where(Revision.id > after)))
        if not ids:
            return
        yield Block([str(id_).encode() for id_ in ids], ids[0], ids[-1], [])
        after = ids[-1]


def perform(task: Task, raw: Sequence[msgspec.Raw]) -> Commit:
    """Open and seal revisions with their screenings; one whose key is not set any more is refused and stays as it is."""
    bodies = task.service.bodies
    ids = [int(bytes(one)) for one in raw]
    of = select(Revision.id, Revision.body, StoredConversation.external_id).join(
        StoredConversation, StoredConversation.id == Revision.conversation_id
    )
    screened = select(StoredScreening.id, StoredScreening.revision_id, StoredScreening.body)
    with task.service.store.read() as session:
        revisions = {id_: (body, external_id) for id_, body, external_id in session.execute(of.where(Revision.id.in_(ids)))}
        screenings: dict[int, list[tuple[int, bytes]]] = {}
        for id_, revision, body in session.execute(screened.where(StoredScreening.revision_id.in_(ids))):
            screenings.setdefault(revision, []).append((id_, body))
    refusals: list[Refusal] = []
    new_revisions: list[dict[str, object]] = []
    new_screenings: list[dict[str, object]] = []
    resealed: set[int] = set()
    texts: dict[int, list[str]] = {}
    for id_, (body, external_id) in revisions.items():
        try:
            if not bodies.is_current(body):
                plain = bodies.unpack(body)
                new_revisions.append({"row": id_, "new": bodies.pack(plain)})
                texts[id_] = [clean_text(turn.text).clean for turn in msgspec.json.decode(plain, type=Conversation).turns]
                resealed.add(id_)
            for screening, stored in screenings.get(id_, ()):
                if not bodies.is_current(stored):
                    new_screenings.append({"row": screening, "new": bodies.pack(bodies.unpack(stored))})
                    resealed.add(id_)
        except BodyError as error:
            refusals.append(Refusal(id_, "unreadable", str(error), external_id=external_id))
            resealed.discard(id_)

    def commit(session: Session, at: int) -> Outcome:
        del at
        for table, rows in ((table_of(Revision), new_revisions), (table_of(StoredScreening), new_screenings)):
            if rows:
                session.execute(update(table).where(table.c.id == bindparam("row")).values(body=bindparam("new")), rows)
        if not bodies.encrypts:  # sealed texts are not in the index
            search.add(session, texts)
        counts = {"resealed": len(resealed), "unchanged": len(ids) - len(resealed) - len(refusals)}
        return Outcome({name: count for name, count in counts.items() if count}, refusals)

    return commit


def named(raw: msgspec.Raw) -> tuple[int, str | None]:
    """The row id of the revision stands for its place."""
    return int(bytes(raw)), None


def finish(task: Task, session: Session, at: int) -> None:
    """Seal the inputs and results that other jobs hold, and empty the index that would tell the texts."""
    del at
    bodies = task.service.bodies
    if bodies.encrypts:
        search.clear(session)
    held = select(JobItem.id).where(JobItem.body.is_not(None)).order_by(JobItem.id)
    ids = session.scalars(held).all()
    table = table_of(JobItem)
    for start in range(0, len(ids), _ITEMS):
        some = select(table.c.id, table.c.body).where(table.c.id.in_(ids[start : start + _ITEMS]), table.c.body.is_not(None))
        old = [(id_, body) for id_, body in session.execute(some.with_for_update()) if not bodies.is_current(body)]
        rows = [{"row": id_, "new": bodies.pack(bodies.unpack(body))} for id_, body in old]
        if rows:
            session.execute(update(table).where(table.c.id == bindparam("row")).values(body=bindparam("new")), rows)


KIND = Kind(plan, perform, named, finish)
