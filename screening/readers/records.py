"""One record (a JSON object) to one `Conversation`: strict where the contract is, forgiving where it says so."""

import re
from datetime import datetime
from typing import Any, NamedTuple, get_args

import msgspec

from screening.errors import InputError
from screening.types import Channel, Conversation, Role, Turn

_CONVERSATION_FIELDS = {field.name for field in msgspec.structs.fields(Conversation)}
_TURN_FIELDS = {field.name for field in msgspec.structs.fields(Turn)}
_SURROGATE = re.compile("[\ud800-\udfff]")
_TIMES = ("started_at", "ended_at", "at", "ends_at")
_decoder = msgspec.json.Decoder(Conversation)


class Refused(NamedTuple):
    """An input row that could not be used. `row` counts from 1 as the file's own tool shows it."""

    source: str
    row: int
    reason: str
    id: str | None = None


def from_json(line: bytes | str) -> Conversation:
    """A conversation from JSON text; raises `InputError`."""
    try:
        conversation = _decoder.decode(line)
    except msgspec.ValidationError:
        try:
            return from_record(msgspec.json.decode(line))
        except msgspec.DecodeError as error:
            raise InputError(f"not JSON: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not JSON: {error}{_hint(line)}") from None
    return checked(conversation)


def _hint(line: bytes | str) -> str:
    if re.search(r"\\u[dD][89a-fA-F]", line if isinstance(line, str) else line.decode("utf-8", "replace")):
        return " (a \\u escape holds half of a character, most often lost by cutting; export the text again)"
    return ""


def from_record(record: Any) -> Conversation:
    """A conversation from a decoded object; unknown fields are kept in `attributes`. Raises `InputError`."""
    if not isinstance(record, dict):
        raise InputError(f"expected an object with `id` and `turns`, found {type(record).__name__}")
    for field in ("id", "turns"):
        if field not in record:
            raise InputError(f"`{field}` is missing; there are: {', '.join(map(str, record)) or 'no fields'}")
    if isinstance(record["id"], int) and not isinstance(record["id"], bool):
        record = record | {"id": str(record["id"])}
    if not isinstance(record["turns"], list):
        raise InputError(f"`turns` must be a list, found {type(record['turns']).__name__}")
    attributes = record.get("attributes") or {}
    if not isinstance(attributes, dict):
        raise InputError(f"`attributes` must be an object, found {type(attributes).__name__}")
    extra = {key: value for key, value in record.items() if key not in _CONVERSATION_FIELDS}
    turns, turn_extras = [], {}
    for i, turn in enumerate(record["turns"]):
        turns.append(_turn(turn, i))
        more = {key: value for key, value in turn.items() if key not in _TURN_FIELDS}
        if more:
            turn_extras[str(i)] = more
    if turn_extras:
        extra["turn_extras"] = turn_extras
    fields = {key: _time(value, key) for key, value in record.items() if key in _CONVERSATION_FIELDS and value is not None}
    fields |= {"turns": tuple(turns), "attributes": extra | attributes}
    if fields.get("channel") == "":
        del fields["channel"]
    try:
        return checked(msgspec.convert(fields, Conversation))
    except msgspec.ValidationError as error:
        raise InputError(_explained(error)) from None


def _turn(turn: Any, i: int) -> Turn:
    if not isinstance(turn, dict):
        raise InputError(f"turn {i} must be an object with `role` and `text`, found {type(turn).__name__}")
    for field in ("role", "text"):
        if field not in turn:
            raise InputError(f"turn {i}: `{field}` is missing")
    if turn["role"] not in get_args(Role):
        raise InputError(f"turn {i}: unknown role {turn['role']!r}; roles are {', '.join(get_args(Role))}")
    fields = {key: _time(value, key) for key, value in turn.items() if key in _TURN_FIELDS and value is not None}
    try:
        return msgspec.convert(fields, Turn)
    except msgspec.ValidationError as error:
        raise InputError(f"turn {i}: {_explained(error)}") from None


def _time(value: Any, field: str) -> Any:
    if field not in _TIMES or isinstance(value, datetime):
        return value
    return parse_time(value, field)


def parse_time(value: Any, field: str) -> datetime | None:
    """An ISO 8601 time (also with a blank or slashes for the date, as exports write them); '' and None are no time."""
    if value is None or value == "":
        return None
    text = str(value).strip().replace("/", "-")
    match = re.fullmatch(
        r"(\d{4})-(\d{1,2})-(\d{1,2})[T ]+(\d{1,2}):(\d{2})(:\d{2}(?:\.\d{1,6})?)?\s*(Z|[+-]\d{2}:?\d{2})?", text
    )
    if match:
        year, month, day, hour, minute, seconds, zone = match.groups()
        text = f"{year}-{int(month):02}-{int(day):02}T{int(hour):02}:{minute}{seconds or ':00'}{zone or ''}"
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"`{field}` {value!r} is no time; write 2026-03-02T10:00:05+08:00") from None


def _explained(error: msgspec.ValidationError) -> str:
    text = str(error)
    if "channel" in text:
        return f"{text}; channels are {', '.join(get_args(Channel))}"
    return text


def checked(conversation: Conversation) -> Conversation:
    """The conversation itself when it can be screened; raises `InputError` otherwise."""
    if not conversation.id:
        raise InputError("`id` is empty")
    if not conversation.turns:
        raise InputError("`turns` is empty; there is nothing to screen")
    for i, turn in enumerate(conversation.turns):
        if not turn.text.isascii() and (match := _SURROGATE.search(turn.text)):
            raise InputError(
                f"turn {i}: lone surrogate U+{ord(match[0]):04X} at character {match.start()}: half of a character was lost, "
                "most often by cutting; export the text again"
            )
    return conversation
