"""Rows of a table to conversations: one row per message (those of one conversation lie together) or one per conversation."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

from screening.errors import InputError
from screening.readers import mapping
from screening.readers.mapping import ColumnProfile, LaidColumns
from screening.readers.records import Refused, from_record
from screening.readers.seen import SeenIds
from screening.types import Conversation

ASSEMBLE = "screening batch assemble"
_NUMBERS = ("loss_yuan", "entry_errors", "queue_seconds")

Row: TypeAlias = tuple[int, Sequence[Any]]
Made = TypeVar("Made")
Arrange: TypeAlias = Callable[[Iterable[Row], ColumnProfile, LaidColumns, str], Iterator[Made]]
"""Makes something of a table's rows: conversations by `conversations` here or `assemble.assembled`, rows to be assembled by a batch."""


def conversations(rows: Iterable[Row], profile: ColumnProfile, laid: LaidColumns, name: str) -> Iterator[Conversation | Refused]:
    """Conversations and refusals; `rows` are (row number as the file's tool shows it, cells)."""
    if profile.shape == "conversations":
        yield from _one_each(rows, laid, name)
    else:
        yield from _grouped(rows, profile, laid, name)


def _one_each(rows: Iterable[Row], laid: LaidColumns, name: str) -> Iterator[Conversation | Refused]:
    for row, cells in rows:
        try:
            record = _conversation_fields(cells, laid)
            record["turns"] = _turn_list(record.get("turns"))
            yield from_record(record)
        except InputError as error:
            yield Refused(name, row, str(error))


def _turn_list(value: Any) -> Any:
    if value is None:
        raise InputError("the column of turns is empty")
    if not isinstance(value, str):
        return [{k: v for k, v in turn.items() if v is not None} if isinstance(turn, dict) else turn for turn in value]
    try:
        return json.loads(value)
    except ValueError as error:
        raise InputError(f"the column of turns is not JSON: {error}") from None


def _grouped(rows: Iterable[Row], profile: ColumnProfile, laid: LaidColumns, name: str) -> Iterator[Conversation | Refused]:
    """Consecutive rows of one id make a conversation; a spoiled row spoils its conversation, which is refused whole."""
    done = SeenIds()
    current: str | None = None
    first = 0
    record: dict[str, Any] = {}
    fault: Refused | None = None
    scattered: str | None = None

    def finish() -> Iterator[Conversation | Refused]:
        if current is None:
            return
        done.add(current)
        if fault is not None:
            yield fault
            return
        try:
            yield from_record(record)
        except InputError as error:
            yield Refused(name, first, str(error), current)

    for row, cells in rows:
        id_ = mapping.cell(_at(cells, laid.fields["id"]))
        if id_ is None:
            yield Refused(name, row, "the conversation's id is empty")
            continue
        id_ = str(id_).strip()
        if id_ != current:
            yield from finish()
            if not done.add(id_):
                if scattered != id_:
                    yield Refused(
                        name,
                        row,
                        f"messages of conversation {id_!r} do not lie together, so an earlier screening saw only a part of it; "
                        f"bring them together with: {ASSEMBLE} {name} --output conversations.jsonl, and screen that",
                        id_,
                    )
                scattered, current = id_, None
                continue
            scattered, current, first, fault = None, id_, row, None
            record = _conversation_fields(cells, laid) | {"turns": []}
        try:
            record["turns"].append(_turn(cells, profile, laid))
            _fill(record, cells, laid)
        except InputError as error:
            fault = fault or Refused(name, row, str(error), id_)
    yield from finish()


def _at(cells: Sequence[Any], place: int) -> Any:
    return cells[place] if place < len(cells) else None


def _turn(cells: Sequence[Any], profile: ColumnProfile, laid: LaidColumns) -> dict[str, Any]:
    turn: dict[str, Any] = {}
    for field in mapping.TURN_FIELDS:
        if field in laid.fields:
            value = mapping.cell(_at(cells, laid.fields[field]))
            if value is not None:
                turn[field] = value
    if "role" not in turn:
        raise InputError("the role is empty")
    turn["role"] = mapping.role_of(str(turn["role"]), profile.roles)
    turn["text"] = str(turn.get("text", ""))
    if "kind" in turn:
        turn["kind"] = mapping.KINDS.get(str(turn["kind"]).strip(), turn["kind"])
    for title, place in laid.rest.items():
        value = mapping.cell(_at(cells, place))
        if value is not None and title not in turn:
            turn[title] = value
    return turn


def _conversation_fields(cells: Sequence[Any], laid: LaidColumns) -> dict[str, Any]:
    record: dict[str, Any] = {"attributes": {}}
    for field, place in laid.fields.items():
        if field in mapping.TURN_FIELDS:
            continue
        value = mapping.cell(_at(cells, place))
        if value is None:
            continue
        if field in ("ended_by", "channel"):
            table = mapping.ENDED_BY if field == "ended_by" else mapping.CHANNELS
            value = table.get(str(value).strip().lower(), value)
        record[field] = value
    _fill(record, cells, laid)
    if "turns" in laid.fields:
        for title, place in laid.rest.items():
            value = mapping.cell(_at(cells, place))
            if value is not None:
                record["attributes"].setdefault(title, value)
    return record


def _fill(record: dict[str, Any], cells: Sequence[Any], laid: LaidColumns) -> None:
    """Attributes that this row knows and earlier rows did not."""
    for field, place in laid.attributes.items():
        value = mapping.cell(_at(cells, place))
        if value is not None and field not in record["attributes"]:
            record["attributes"][field] = attribute(field, value)


def attribute(field: str, value: Any) -> Any:
    """An attribute's value from its cell; raises `InputError`."""
    if field in _NUMBERS:
        try:
            return float(value) if "." in str(value) else int(value)
        except ValueError:
            raise InputError(f"`{field}` {value!r} is no number") from None
    if field == "callbacks":
        try:
            return json.loads(value)
        except ValueError as error:
            raise InputError(f"`callbacks` is not JSON: {error}") from None
    return value
