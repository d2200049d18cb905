"""The rows of a chunk as conversations: messages of one conversation brought together, from however many files."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, NamedTuple, get_args

import msgspec
import pyarrow as pa

from screening.batch.schemas import ROWS
from screening.batch.sources import Source
from screening.errors import InputError
from screening.readers.mapping import CHANNELS, ENDED_BY, KINDS, role_of
from screening.readers.records import checked, from_json, from_record, parse_time
from screening.readers.rows import attribute
from screening.types import Channel, Conversation, Role, Turn

_TURN_KINDS = frozenset(("text", "image", "voice", "card"))
_ROLES = frozenset(get_args(Role))
_TOLD = ("channel", "vendor_id", "agent_id", "customer_id", "started_at", "ended_at", "ended_by")
_BY_FOLDER = ("channel", "vendor_id", "agent_id", "customer_id")
_TURN_FIELDS = frozenset(Turn.__struct_fields__)
_FIELDS = frozenset(Conversation.__struct_fields__)


class Input(NamedTuple):
    """One input conversation, or the reason why it is none, with the row it begins in."""

    place: int
    source: int
    row: int
    id: str | None
    conversation: Conversation | None
    reason: str = ""


class _FaultError(Exception):
    """A row that spoils its conversation."""

    def __init__(self, at: int, reason: str):
        super().__init__(reason)
        self.at = at


def inputs(rows: pa.Table, sources: Sequence[Source], zone: tzinfo) -> Iterator[Input]:
    """Every row goes into exactly one input; of conversations with one id the first in the order of the input counts."""
    cells: dict[str, list[Any]] = {name: rows[name].to_pylist() for name in ROWS.names}
    ids, bodies, reasons = cells["id"], cells["body"], cells["reason"]
    groups: dict[str, list[int]] = {}
    for i, id_ in enumerate(ids):
        if id_ is None or reasons[i] is not None:
            yield _single(cells, i, sources)
        else:
            groups.setdefault(id_, []).append(i)
    for id_, members in groups.items():
        messages = [i for i in members if bodies[i] is None]
        whole = [i for i in members if bodies[i] is not None]
        heads = sorted((*whole, *messages[:1]))
        if messages and heads[0] == messages[0]:
            yield _assembled(cells, id_, messages, sources, zone)
        else:
            yield _single(cells, heads[0], sources)
        for i in heads[1:]:
            first = heads[0]
            where = f"{sources[cells['source'][first]].name}, row {cells['row'][first]}"
            yield _refused(
                cells, i, f"id {id_!r} stands already in an earlier conversation ({where}); ids are unique in an archive"
            )


def _refused(cells: Mapping[str, list[Any]], i: int, reason: str) -> Input:
    return Input(cells["place"][i], cells["source"][i], cells["row"][i], cells["id"][i], None, reason)


def _single(cells: Mapping[str, list[Any]], i: int, sources: Sequence[Source]) -> Input:
    if cells["reason"][i] is not None or cells["body"][i] is None:
        return _refused(cells, i, cells["reason"][i] or "the row holds no conversation")
    try:
        conversation = from_json(cells["body"][i])
    except InputError as error:
        return _refused(cells, i, str(error))
    told = sources[cells["source"][i]].partition
    return Input(
        cells["place"][i],
        cells["source"][i],
        cells["row"][i],
        conversation.id,
        _with_partition(conversation, told) if told else conversation,
    )


def _with_partition(conversation: Conversation, told: Mapping[str, str]) -> Conversation:
    """What the names of Hive's folders say, where the conversation itself says nothing."""
    fields = {key: told[key] for key in _BY_FOLDER if key in told and getattr(conversation, key) in (None, "online")}
    if fields.get("channel", "online") not in get_args(Channel):
        del fields["channel"]
    others = {key: value for key, value in told.items() if key not in _FIELDS}
    return msgspec.structs.replace(conversation, **fields, attributes=others | conversation.attributes)


def _assembled(cells: Mapping[str, list[Any]], id_: str, members: list[int], sources: Sequence[Source], zone: tzinfo) -> Input:
    places, files, ats = cells["place"], cells["source"], cells["at"]
    first, last = members[0], members[-1]
    try:
        if (places[last] - places[first] + 1 != len(members) or files[first] != files[last]) and all(ats[i] for i in members):
            members = sorted(members, key=lambda i: (_moment(cells, i, zone), places[i]))
        conversation = _conversation(cells, id_, members)
    except _FaultError as fault:
        return Input(places[first], files[fault.at], cells["row"][fault.at], id_, None, str(fault))
    told = sources[files[first]].partition
    return Input(
        places[first], files[first], cells["row"][first], id_, _with_partition(conversation, told) if told else conversation
    )


def _moment(cells: Mapping[str, list[Any]], i: int, zone: tzinfo) -> datetime:
    at = _time(cells, "at", i)
    assert at is not None
    return at if at.tzinfo is not None else at.replace(tzinfo=zone)


def _conversation(cells: Mapping[str, list[Any]], id_: str, members: Sequence[int]) -> Conversation:
    turn_extras: dict[str, Any] = {}
    turns = []
    for number, i in enumerate(members):
        turns.append(_turn(cells, i, number))
        if cells["extras"][i] is not None:
            more = {k: v for k, v in msgspec.json.decode(cells["extras"][i]).items() if k not in _TURN_FIELDS}
            if more:
                turn_extras[str(number)] = more
    attributes = {"turn_extras": turn_extras} if turn_extras else {}
    head = members[0]
    fields: dict[str, Any] = {}
    for name in _TOLD:
        value = cells[name][head]
        if value is None or not value.strip():
            continue
        fields[name] = _time(cells, name, head) if name in ("started_at", "ended_at") else value
    for name, table in (("ended_by", ENDED_BY), ("channel", CHANNELS)):
        if name in fields:
            fields[name] = table.get(fields[name].strip().lower(), fields[name])
    conversation = Conversation(id=id_, turns=tuple(turns), attributes=attributes | _attributes(cells, members), **fields)
    if fields.get("channel", "online") not in get_args(Channel) or fields.get("ended_by", "agent") not in (
        "agent",
        "customer",
        "system",
    ):
        try:
            return from_record(msgspec.to_builtins(conversation))
        except InputError as error:
            raise _FaultError(head, str(error)) from None
    return checked(conversation)


def _attributes(cells: Mapping[str, list[Any]], members: Sequence[int]) -> dict[str, Any]:
    """Attributes of the first row that knows them."""
    found: dict[str, Any] = {}
    before = None
    for i in members:
        text = cells["attributes"][i]
        if text is None or text == before:
            continue
        before = text
        for field, value in msgspec.json.decode(text).items():
            if field not in found:
                try:
                    found[field] = attribute(field, value)
                except InputError as error:
                    raise _FaultError(i, str(error)) from None
    return found


def _turn(cells: Mapping[str, list[Any]], i: int, number: int) -> Turn:
    role, text, kind = cells["role"][i], cells["text"][i], cells["kind"][i]
    if role not in _ROLES:
        try:
            role = role_of(role, {}) if role else None
        except InputError as error:
            raise _FaultError(i, str(error)) from None
        if role is None:
            raise _FaultError(i, "the role is empty")
    text = "" if text is None or text.isspace() else text
    at, ends_at = _time(cells, "at", i), _time(cells, "ends_at", i)
    if kind is None or not kind.strip():
        return Turn(role, text, at, "text", ends_at)
    kind = KINDS.get(kind.strip(), kind)
    if kind not in _TURN_KINDS:
        raise _FaultError(i, f"turn {number}: unknown kind {kind!r}; kinds are {', '.join(sorted(_TURN_KINDS))}")
    return Turn(role, text, at, kind, ends_at)


def _time(cells: Mapping[str, list[Any]], field: str, i: int) -> datetime | None:
    text = cells[field][i]
    if text is None or not text.strip():
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    try:
        return parse_time(text, field)
    except InputError as error:
        raise _FaultError(i, str(error)) from None
