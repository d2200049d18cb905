"""A scored archive into the store: screenings as they were scored, a block of conversations a transaction, again without harm."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from api import audit, ingest, inputs
from api.clock import Clock
from api.errors import ApiError
from api.results import Keeping, digest_of
from api.settings import Settings
from api.store.bodies import Bodies
from api.store.engine import Store
from api.store.tables import StoredScreening
from screening.batch import datasets
from screening.batch.columns import digest
from screening.batch.rows import days, rows
from screening.batch.storage import Folder
from screening.batch.summary import Summary
from screening.errors import InputError
from screening.types import Candidate, Conversation, Failure, Flag, Screening, Source, Versions

BLOCK = 500
_SCREENINGS = ("place", "conversation_id", "complete", "not_checked", "level", "failures", "versions")
_conversations = msgspec.json.Decoder(Conversation)


class Scored(NamedTuple):
    """A conversation of an archive with its screening."""

    place: int
    conversation: Conversation
    screening: Screening


class Step(NamedTuple):
    """What a block came to: conversations by outcome, and those that were refused (place, id, reason)."""

    outcomes: Counter[str]
    refused: list[tuple[int, str, str]]


def load(root: str, store: Store, settings: Settings, clock: Clock, *, replace: bool = False) -> Iterator[Step]:
    """Keep a scored archive's conversations, block by block; raises `InputError` where the archive cannot be used.

    What is stored already under the same content is left alone; `replace` takes the archive's screening where the stored one was made by
    other versions, with decisions carried over as after a re-screening.
    """
    summary = datasets.summary(root)
    keeping = Keeping(Bodies(settings.keys(), settings.encryption_key), settings, ZoneInfo(summary.zone))
    detail: dict[str, object] = {"conversations": summary.counts.total.conversations, "versions": digest_of(summary.versions)}
    subject = f"archive:{Folder(root).root.rstrip('/').rpartition('/')[2]}"[:200]
    total = Counter[str]()
    found = scored(root, summary)
    first = next(found, None)
    with store.write() as session:
        audit.record(session, at=clock(), actor="command-line", action="archive_begun", subject=subject, detail=detail)
    block = [] if first is None else [first, *islice(found, BLOCK - 1)]
    while block:
        step = _kept(block, store, settings, keeping, clock(), replace=replace)
        total.update(step.outcomes)
        yield step
        block = list(islice(found, BLOCK))
    with store.write() as session:
        detail |= {"outcomes": dict(total)}
        audit.record(session, at=clock(), actor="command-line", action="archive_ingested", subject=subject, detail=detail)


def scored(root: str, summary: Summary) -> Iterator[Scored]:
    """All conversations of an archive with their screenings, by day and place; raises `InputError`."""
    folder = Folder(root)
    if not folder.exists("conversations") and summary.counts.total.conversations:
        raise InputError(f"{root}: the conversations are not in this archive; score it again with --keep-conversations")
    for day in days(folder):
        below = f"day={day}"
        flags = _Beside(folder, f"flags/{below}")
        candidates = _Beside(folder, f"candidates/{below}")
        conversations = _Beside(folder, f"conversations/{below}")
        for batch in rows(folder, f"screenings/{below}", _SCREENINGS, BLOCK):
            for row in batch.to_pylist():
                place = row["place"]
                texts = conversations.of(place)
                if len(texts) != 1:
                    raise InputError(
                        f"{root}: {row['conversation_id']!r} has no conversation in {below}; score the archive again"
                    )
                conversation = _conversations.decode(texts[0]["conversation"])
                versions = _versions(root, summary, row["versions"])
                yield Scored(place, conversation, _screening(row, flags.of(place), candidates.of(place), versions))


class _Beside:
    """The rows of another dataset of the same day, asked for by rising place."""

    def __init__(self, folder: Folder, below: str):
        self._rows: Iterator[dict[str, Any]] = (row for batch in rows(folder, below, None, BLOCK) for row in batch.to_pylist())
        self._next = next(self._rows, None)

    def of(self, place: int) -> list[dict[str, Any]]:
        found = []
        while self._next is not None and self._next["place"] <= place:
            if self._next["place"] == place:
                found.append(self._next)
            self._next = next(self._rows, None)
        return found


def _versions(root: str, summary: Summary, named: str) -> Versions:
    if named != digest(summary.versions):
        raise InputError(f"{root}: a screening was made by other versions than summary.json names; score the archive again")
    return summary.versions


def _screening(
    row: dict[str, Any], flags: Sequence[dict[str, Any]], candidates: Sequence[dict[str, Any]], versions: Versions
) -> Screening:
    return Screening(
        conversation_id=row["conversation_id"],
        complete=row["complete"],
        not_checked=tuple(row["not_checked"]),
        flags=tuple(_flag(flag) for flag in sorted(flags, key=lambda flag: flag["flag"])),
        candidates=tuple(_candidate(one) for one in sorted(candidates, key=lambda one: one["candidate"])),
        level=row["level"],
        versions=versions,
        failures=tuple(Failure(**failure) for failure in row["failures"]),
    )


def _flag(row: dict[str, Any]) -> Flag:
    source = Source(row["source_kind"], row["source_id"], row["source_version"], row["source_prior"])
    own = {
        name: row[name]
        for name in ("signal", "turn", "start", "end", "quote", "score", "status", "why", "suggestion", "excused_by")
    }
    return Flag(source=source, **own)


def _candidate(row: dict[str, Any]) -> Candidate:
    own = {name: row[name] for name in ("standard", "clause", "level", "title", "score", "severe", "points")}
    return Candidate(flags=tuple(row["flags"]), **own)


def _kept(block: Sequence[Scored], store: Store, settings: Settings, keeping: Keeping, at: int, *, replace: bool) -> Step:
    refused: list[tuple[int, str, str]] = []
    usable: list[Scored] = []
    for one in block:
        try:
            inputs.checked(one.conversation, settings)
            usable.append(one)
        except ApiError as error:
            refused.append((one.place, one.conversation.id, error.message))
    conversations = [one.conversation for one in usable]

    def write(session: Session) -> Counter[str]:
        known = ingest.known(session, conversations)
        fresh = [(one.conversation, one.screening) for one, there in zip(usable, known, strict=True) if there is None]
        outcomes = Counter[str](stored.outcome for stored in ingest.keep(session, fresh, keeping, at))
        others = _of_other_versions(session, usable, known)
        if replace and others:
            replaced = ingest.rescreened(session, _rescreens(session, others), keeping, at)
            outcomes["replaced"] = sum(one is not None for one in replaced)
        outcomes["unchanged"] = len(usable) - len(fresh) - outcomes["replaced"]
        outcomes["other versions"] = len(others) - outcomes["replaced"]
        return +outcomes

    return Step(ingest.retried(store, write), refused)


def _of_other_versions(session: Session, usable: Sequence[Scored], known: Sequence[ingest.Stored | None]) -> list[Scored]:
    """Those that are stored with the same content and another set of versions."""
    there = {stored.screening_id: one for one, stored in zip(usable, known, strict=True) if stored is not None}
    if not there:
        return []
    made = digest_of(next(iter(there.values())).screening.versions)
    statement = select(StoredScreening.id).where(StoredScreening.id.in_(there), StoredScreening.versions != made)
    return [there[id_] for id_ in session.scalars(statement.order_by(StoredScreening.id))]


def _rescreens(session: Session, others: Sequence[Scored]) -> list[ingest.Rescreen]:
    held = ingest.in_force(session, [one.conversation.id for one in others], lock=True)
    entries = [(held[one.conversation.id], one) for one in others]
    return [ingest.Rescreen(entry.conversation_id, entry.revision_id, one.conversation, one.screening) for entry, one in entries]
