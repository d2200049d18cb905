"""Writes screenings with their flags and candidates, and brings what people decided on earlier ones over to them."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, cast

import msgspec
from sqlalchemy import Table, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from api import carry_over, measures
from api.clock import from_datetime
from api.settings import Settings
from api.store.base import Base
from api.store.bodies import Bodies
from api.store.tables import CandidateSignal, StoredCandidate, StoredConversation, StoredFlag, StoredScreening, VersionSet
from screening.replay import encode
from screening.types import Candidate, Conversation, Flag, Screening, Versions

Cause = Literal["ingest", "revision", "rescreen", "attributes"]


class Keeping(NamedTuple):
    """How texts are packed, what the queue's weights are, and the zone of times without an offset, some vendors' own ones."""

    bodies: Bodies
    settings: Settings
    zone: tzinfo
    zones: Mapping[str, tzinfo] = MappingProxyType({})

    def zone_of(self, vendor_id: str | None) -> tzinfo:
        """The zone of a vendor's times."""
        return self.zone if vendor_id is None else self.zones.get(vendor_id, self.zone)


class Result(NamedTuple):
    """One screening to store, of a revision that is in force; `conversation` is its content."""

    conversation_id: int
    revision_id: int
    conversation: Conversation
    screening: Screening
    cause: Cause


def priority(settings: Settings, level: str, score: float) -> float:
    """The expected value of a review: what is at stake if it is true, and what is learnt where that is unsure."""
    return settings.weights()[level] * score + settings.weight_uncertainty * score * (1 - score)


def digest_of(versions: Versions) -> str:
    """The name of a set of versions in the store."""
    return "sha256:" + hashlib.sha256(_versions(versions)).hexdigest()


def add(session: Session, results: Sequence[Result], keeping: Keeping, at: int) -> list[int]:
    """Store screenings as the latest of their conversations; gives their row ids in order.

    Open and claimed candidates of earlier screenings become outdated; a decided one hands its decision to the new candidate of
    the same clause on the same words, and stays decided where there is none.
    """
    repeated = [result.conversation_id for result in results if result.cause != "ingest"]
    if repeated:
        latest = StoredScreening.conversation_id.in_(repeated) & StoredScreening.latest
        session.execute(update(StoredScreening).where(latest).values(latest=False))
    digests = _add_versions(session, [result.screening.versions for result in results])
    ids = insert_many(
        session,
        StoredScreening,
        [_screening(result, digest, keeping, at) for result, digest in zip(results, digests, strict=True)],
    )
    flags = [
        _flag(screening_id, n, flag)
        for screening_id, result in zip(ids, results, strict=True)
        for n, flag in enumerate(result.screening.flags)
    ]
    if flags:
        session.execute(insert(table_of(StoredFlag)), flags)
    occurred = _occurred(session, results, keeping.zone)
    _add_candidates(session, list(zip(ids, results, strict=True)), occurred, keeping, at)
    counted = [measures.Counted(one.conversation_id, one.conversation, occurred[one.conversation_id]) for one in results]
    measures.keep(session, counted, keeping.zone)
    return ids


def table_of(mapped: type[Base]) -> Table:
    """The plain table of a mapped class: bulk statements need no objects."""
    return cast(Table, mapped.__table__)


def insert_many(session: Session, mapped: type[Base], values: Sequence[dict[str, Any]]) -> list[int]:
    """Insert rows in one go; gives their ids in order."""
    if not values:
        return []
    table = table_of(mapped)
    if session.get_bind().dialect.name == "sqlite":
        statement = insert(table).returning(table.c.id, sort_by_parameter_order=True)
        return list(session.execute(statement, values).scalars())
    # psycopg takes longer to read one statement of many rows than to send the rows one by one, so the ids are taken first
    sequence = func.pg_get_serial_sequence(table.name, "id")
    numbers = select(func.nextval(sequence)).select_from(func.generate_series(1, len(values)))
    ids = list(session.scalars(numbers))
    session.execute(insert(table), [{"id": id_, **row} for id_, row in zip(ids, values, strict=True)])
    return ids


def _add_versions(session: Session, versions: Sequence[Versions]) -> list[str]:
    """Keep each set of versions once; gives their digests."""
    by_identity: dict[int, str] = {}
    bodies: dict[str, str] = {}
    for one in versions:
        if id(one) not in by_identity:  # one screener hands out one object
            by_identity[id(one)] = digest = digest_of(one)
            bodies[digest] = _versions(one).decode()
    if bodies:
        dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
        rows = [{"digest": digest, "body": bodies[digest]} for digest in sorted(bodies)]
        session.execute(dialect.insert(VersionSet).values(rows).on_conflict_do_nothing())
    return [by_identity[id(one)] for one in versions]


def _versions(versions: Versions) -> bytes:
    return msgspec.json.encode(versions, order="deterministic")


def _screening(result: Result, digest: str, keeping: Keeping, at: int) -> dict[str, Any]:
    screening = result.screening
    return {
        "conversation_id": result.conversation_id,
        "revision_id": result.revision_id,
        "versions": digest,
        "lexicon_hash": screening.versions.lexicon,
        "cause": result.cause,
        "level": screening.level,
        "incomplete": not screening.complete,
        "latest": True,
        "body": keeping.bodies.pack(encode(screening)),
        "created_at": at,
    }


def _flag(screening_id: int, n: int, flag: Flag) -> dict[str, Any]:
    return {
        "screening_id": screening_id,
        "n": n,
        "signal": flag.signal,
        "source": flag.source.kind,
        "rule": flag.source.id,
        "rule_version": flag.source.version,
        "turn": flag.turn,
        "start": flag.start,
        "end": flag.end,
        "score": flag.score,
        "status": flag.status,
    }


def _add_candidates(
    session: Session, results: Sequence[tuple[int, Result]], occurred: Mapping[int, int], keeping: Keeping, at: int
) -> None:
    repeated = {result.conversation_id: result.conversation for _, result in results if result.cause != "ingest"}
    before = carry_over.Before(session, repeated, keeping.bodies)
    rows: list[dict[str, Any]] = []
    signals: list[set[str]] = []
    for screening_id, result in results:
        for n, candidate in enumerate(result.screening.candidates):
            row = _candidate(screening_id, n, result, candidate, keeping.settings, occurred[result.conversation_id])
            evidence = [result.screening.flags[i] for i in candidate.flags]
            row |= before.heritage(result.conversation_id, candidate, evidence)
            rows.append(row | {"created_at": at})
            signals.append({flag.signal for flag in evidence})
    before.retire()
    ids = insert_many(session, StoredCandidate, rows)
    links = [
        {"candidate_id": id_, "signal": signal, "status": row["status"], "priority": row["priority"]}
        for id_, row, found in zip(ids, rows, signals, strict=True)
        for signal in sorted(found)
    ]
    if links:
        session.execute(insert(table_of(CandidateSignal)), links)


def _occurred(session: Session, results: Sequence[Result], zone: tzinfo) -> dict[int, int]:
    """When conversations began, else when their first timed turn was, else when they came in."""
    if not results:
        return {}
    columns = (StoredConversation.id, StoredConversation.started_at, StoredConversation.created_at)
    ids = [result.conversation_id for result in results]
    rows = {row[0]: row for row in session.execute(select(*columns).where(StoredConversation.id.in_(ids)))}
    found = {}
    for result in results:
        _, started, created = rows[result.conversation_id]
        first = next((turn.at for turn in result.conversation.turns if turn.at is not None), None)
        if started is None and first is not None:
            started = from_datetime(first if first.tzinfo is not None else first.replace(tzinfo=zone))
        found[result.conversation_id] = created if started is None else started
    return found


def _candidate(
    screening_id: int, n: int, result: Result, candidate: Candidate, settings: Settings, occurred_at: int
) -> dict[str, Any]:
    return {
        "screening_id": screening_id,
        "conversation_id": result.conversation_id,
        "n": n,
        "standard": candidate.standard,
        "clause": candidate.clause,
        "level": candidate.level,
        "title": candidate.title,
        "severe": candidate.severe,
        "points": candidate.points,
        "score": candidate.score,
        "flags": msgspec.json.encode(candidate.flags).decode(),
        "vendor_id": result.conversation.vendor_id,
        "agent_id": result.conversation.agent_id,
        "channel": result.conversation.channel,
        "occurred_at": occurred_at,
        "priority": priority(settings, candidate.level, candidate.score),
    }
