"""Screenings as Arrow columns, a batch for each dataset and day; built by columns, so that a clean conversation costs one row."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa

from screening.batch.schemas import CANDIDATES, CONVERSATIONS, FLAGS, NO_DAY, REFUSED, SCREENINGS
from screening.detect.conduct.facts import Facts
from screening.types import Conversation, Screening, Versions


class Scored(NamedTuple):
    """A conversation with its screening and where it came from."""

    place: int
    source: str
    row: int
    conversation: Conversation
    screening: Screening
    facts: Facts


class Times(NamedTuple):
    """When a conversation began and ended; None where it says nothing of it."""

    began: datetime | None
    ended: datetime | None


def digest(versions: Versions) -> str:
    """What the column `versions` holds."""
    return "sha256:" + hashlib.sha256(msgspec.json.encode(versions, order="deterministic")).hexdigest()


def times(conversation: Conversation, zone: tzinfo) -> Times:
    """By its own fields, else by its turns; a time without an offset is taken in `zone`."""

    def aware(at: datetime) -> datetime:
        return at if at.tzinfo is not None else at.replace(tzinfo=zone)

    known = [turn.at for turn in conversation.turns if turn.at is not None]
    began = conversation.started_at or min(known, key=aware, default=None)
    ended = conversation.ended_at or max(known, key=aware, default=None)
    return Times(None if began is None else aware(began), None if ended is None else aware(ended))


def day_of(began: datetime | None, zone: tzinfo) -> str:
    """The partition that a conversation lies in."""
    return NO_DAY if began is None else began.astimezone(zone).date().isoformat()


def tables(scored: Iterable[Scored], zone: tzinfo, *, keep: bool) -> dict[str, dict[str, pa.RecordBatch]]:
    """Dataset to day to rows; `keep`: with the conversations themselves."""
    days: dict[str, list[tuple[Scored, Times]]] = {}
    for one in scored:
        when = times(one.conversation, zone)
        days.setdefault(day_of(when.began, zone), []).append((one, when))
    found: dict[str, dict[str, pa.RecordBatch]] = {"screenings": {}, "flags": {}, "candidates": {}}
    if keep:
        found["conversations"] = {}
    for day, own in days.items():
        found["screenings"][day] = _screenings(own)
        for name, batch in (("flags", _flags(own, zone)), ("candidates", _candidates(own))):
            if batch.num_rows:
                found[name][day] = batch
        if keep:
            found["conversations"][day] = _batch(CONVERSATIONS, [_conversation(one) for one, _ in own])
    return found


def refused(rows: Sequence[tuple[int, str, int, str, str | None]]) -> pa.RecordBatch:
    """Rows of the dataset of refusals."""
    return _batch(REFUSED, rows)


def _batch(schema: pa.Schema, rows: Sequence[Sequence[Any]]) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    return pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def _conversation(one: Scored) -> tuple[Any, ...]:
    return one.place, one.conversation.id, msgspec.json.encode(one.conversation).decode()


def _who(conversation: Conversation, when: Times) -> tuple[Any, ...]:
    return conversation.channel, conversation.vendor_id, conversation.agent_id, conversation.customer_id, when.began


def _screenings(own: Sequence[tuple[Scored, Times]]) -> pa.RecordBatch:
    rows = []
    known: dict[int, str] = {}
    for (place, source, row, conversation, screening, facts), when in own:
        roles = [turn.role for turn in conversation.turns]
        attributes = conversation.attributes
        versions = known.get(id(screening.versions)) or known.setdefault(id(screening.versions), digest(screening.versions))
        rows.append(
            (
                place,
                screening.conversation_id,
                *_who(conversation, when),
                when.ended,
                conversation.ended_by,
                len(roles),
                roles.count("agent"),
                roles.count("customer"),
                screening.level,
                screening.complete,
                screening.not_checked,
                [{"detector": f.detector, "error": f.error, "turn": f.turn} for f in screening.failures],
                sum(flag.status == "active" for flag in screening.flags),
                len(screening.candidates),
                *msgspec.structs.astuple(facts)[:-2],
                [msgspec.structs.asdict(promise) for promise in facts.promises],
                [msgspec.structs.asdict(mail) for mail in facts.mails],
                _a(str, attributes.get("rating")),
                _truth(attributes.get("answered")),
                _truth(attributes.get("solved")),
                _number(attributes.get("queue_seconds")),
                _json(attributes),
                source,
                row,
                versions,
            )
        )
    return _batch(SCREENINGS, rows)


def _a(kind: type, value: Any) -> Any:
    return value if isinstance(value, kind) else None


def _truth(value: Any) -> bool | None:
    """Tables write truth as words."""
    if isinstance(value, str):
        return {"true": True, "1": True, "是": True, "false": False, "0": False, "否": False}.get(value.strip().lower())
    return value if isinstance(value, bool) else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _json(attributes: Mapping[str, Any]) -> str:
    """All attributes but those of single turns."""
    if not attributes:
        return "{}"
    return msgspec.json.encode({k: v for k, v in attributes.items() if k != "turn_extras"}, order="sorted").decode()


def _flags(own: Sequence[tuple[Scored, Times]], zone: tzinfo) -> pa.RecordBatch:
    rows = []
    for (place, _, _, conversation, screening, _), when in own:
        who = _who(conversation, when) if screening.flags else ()
        for number, flag in enumerate(screening.flags):
            at = None if flag.turn is None else conversation.turns[flag.turn].at
            rows.append(
                (
                    place,
                    screening.conversation_id,
                    number,
                    flag.signal,
                    flag.turn,
                    flag.start,
                    flag.end,
                    flag.quote,
                    flag.score,
                    flag.status,
                    flag.source.kind,
                    flag.source.id,
                    flag.source.version,
                    flag.source.prior,
                    flag.why,
                    flag.suggestion,
                    flag.excused_by,
                    at if at is None or at.tzinfo is not None else at.replace(tzinfo=zone),
                    *who,
                )
            )
    return _batch(FLAGS, rows)


def _candidates(own: Sequence[tuple[Scored, Times]]) -> pa.RecordBatch:
    rows = []
    for (place, _, _, conversation, screening, _), when in own:
        who = _who(conversation, when) if screening.candidates else ()
        for number, found in enumerate(screening.candidates):
            rows.append(
                (
                    place,
                    screening.conversation_id,
                    number,
                    found.standard,
                    found.clause,
                    found.level,
                    found.title,
                    found.score,
                    found.flags,
                    found.severe,
                    found.points,
                    *who,
                )
            )
    return _batch(CANDIDATES, rows)
