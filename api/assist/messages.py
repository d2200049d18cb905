"""The messages of the stream: what a desk sends and what it is told. Every field is here; anything else is refused.

Times go out as ISO 8601 in the profile's zone. `seq` of a desk's message counts 1, 2, 3 ... within the session; `seq` of the service's
messages counts the same way, apart from it, over all that are kept for `resume`.
"""

import re
from datetime import datetime
from typing import Any, Literal

import msgspec

from api.assist.verdict import Verdict
from api.errors import ApiError, pointer
from screening.errors import InputError
from screening.readers.records import parse_time
from screening.types import Candidate, Channel, Flag, Level, Role, Versions


class About(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of a conversation when it begins; the fields of CONTRACT.md."""

    channel: Channel = "online"
    vendor_id: str | None = None
    agent_id: str | None = None
    customer_id: str | None = None
    started_at: datetime | None = None
    attributes: dict[str, Any] = {}


class Hello(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="hello", tag_field="type"):
    """Begins a session. `token`: the API key or session token, where the handshake carried none."""

    token: str | None = None


class Resume(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="resume", tag_field="type"):
    """Takes a session up again: everything after the service's message `received` is sent again."""

    session: str
    received: int
    token: str | None = None


class TurnMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="turn", tag_field="type"):
    """A turn that was said. The first one of a conversation opens it; `about` goes with it."""

    seq: int
    conversation: str
    role: Role
    text: str
    at: datetime | None = None
    kind: Literal["text", "image", "voice", "card"] = "text"
    ends_at: datetime | None = None
    about: About | None = None
    received: int | None = None


class DraftMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="draft", tag_field="type"):
    """What the agent is about to send; answered by `verdict`."""

    seq: int
    conversation: str
    text: str
    deadline_ms: int | None = None
    received: int | None = None


class Typing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="typing", tag_field="type"):
    """Somebody types; holds for ten seconds. While the agent types, `timer` says so."""

    seq: int
    conversation: str
    role: Literal["agent", "customer"]
    received: int | None = None


class End(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="end", tag_field="type"):
    """Ends a conversation; answered by `screening`. `attributes` are added to those of `about`; `store` keeps the conversation."""

    seq: int
    conversation: str
    ended_at: datetime | None = None
    ended_by: Literal["agent", "customer", "system"] | None = None
    attributes: dict[str, Any] = {}
    store: bool = False
    received: int | None = None


Numbered = TurnMessage | DraftMessage | Typing | End
Incoming = Hello | Resume | TurnMessage | DraftMessage | Typing | End


class Limits(msgspec.Struct, frozen=True):
    """What one session may hold and send; the settings `stream_*`, `max_turns` and `max_text_length`."""

    conversations: int
    turns: int
    text_length: int
    message_bytes: int
    bytes: int
    messages_per_second: int
    idle_seconds: int
    resume_seconds: int


class Welcome(msgspec.Struct, frozen=True, tag="welcome", tag_field="type"):
    """The session stands. `received` is the last message of the desk that was taken: go on with the one after it. `open` says how
    many turns each open conversation has.
    """

    session: str
    resumed: bool
    received: int
    open: dict[str, int]
    limits: Limits
    versions: Versions


class Ack(msgspec.Struct, frozen=True, tag="ack", tag_field="type"):
    """All messages of the desk up to `of` were taken and need not be sent again."""

    of: int


class Flags(msgspec.Struct, frozen=True, tag="flags", tag_field="type"):
    """What one turn shows, always sent, also where it is nothing. `candidates` point into `flags`."""

    seq: int
    of: int
    conversation: str
    turn: int
    flags: tuple[Flag, ...]
    candidates: tuple[Candidate, ...]
    level: Level | None
    complete: bool
    not_checked: tuple[str, ...]


class VerdictMessage(msgspec.Struct, frozen=True, tag="verdict", tag_field="type"):
    """The answer to a draft, as `POST /v1/assist/check` gives it."""

    seq: int
    of: int
    conversation: str
    verdict: Verdict


class Countdown(msgspec.Struct, frozen=True):
    """A limit that is being counted down. `turn` started it; `source` set it; `mean_seconds` is the mean of the replies so far."""

    kind: Literal["first_reply", "mean_reply", "upset", "hold", "promise"]
    signal: str
    turn: int
    state: Literal["running", "warning", "broken"]
    since: datetime
    warns_at: datetime
    breaks_at: datetime
    remaining_seconds: float
    limit_seconds: float | None
    source: str | None
    mean_seconds: float | None


class TimerMessage(msgspec.Struct, frozen=True, tag="timer", tag_field="type"):
    """All limits that run in a conversation, in place of those sent before; empty when none runs any more."""

    seq: int
    conversation: str
    timers: tuple[Countdown, ...]
    agent_typing: bool


class Withdrawn(msgspec.Struct, frozen=True):
    """A flag that was sent with its turn and does not stand, or stands otherwise, in the screening of the whole."""

    signal: str
    turn: int
    start: int
    end: int
    status: Literal["active", "shadow", "excused"]


class OpenPromise(msgspec.Struct, frozen=True):
    """A promise with a time that was not yet due when the conversation ended."""

    turn: int
    due_at: datetime


class Kept(msgspec.Struct, frozen=True):
    """Where the conversation was stored."""

    revision: int
    screening_id: int
    outcome: Literal["created", "revised", "unchanged"]


class ScreeningMessage(msgspec.Struct, frozen=True, tag="screening", tag_field="type"):
    """The whole conversation's screening, byte for byte as `POST /v1/screen` gives it.

    `added` are indices of its flags that no turn's `flags` held, `withdrawn` what it does not confirm. `kept` where `store` was asked.
    """

    seq: int
    of: int
    conversation: str
    screening: msgspec.Raw
    added: tuple[int, ...]
    withdrawn: tuple[Withdrawn, ...]
    promises: tuple[OpenPromise, ...]
    kept: Kept | None


class ErrorMessage(msgspec.Struct, frozen=True, tag="error", tag_field="type"):
    """A message that could not be used, as in the error envelope; the session goes on. `of` is None where its `seq` cannot be read."""

    seq: int
    of: int | None
    conversation: str | None
    code: str
    message: str
    field: str | None


class Closing(msgspec.Struct, frozen=True, tag="closing", tag_field="type"):
    """The last word before the socket is closed: why, and whether `resume` helps."""

    code: str
    message: str
    resume: bool


Sequenced = Flags | VerdictMessage | TimerMessage | ScreeningMessage | ErrorMessage
Outgoing = Welcome | Ack | Flags | VerdictMessage | TimerMessage | ScreeningMessage | ErrorMessage | Closing

_decoder = msgspec.json.Decoder(Incoming)
_TYPES = ("hello", "resume", "turn", "draft", "typing", "end")
_SEQ = re.compile(rb'"seq"\s*:\s*([0-9]{1,15})[,}\s]')
_TIMES = ("at", "ends_at", "started_at", "ended_at")


class _Loose(msgspec.Struct, frozen=True):
    """What can be told of a message that is not right."""

    seq: int | None = None
    conversation: str | None = None


def decoded(data: bytes | str) -> Incoming:
    """The message of a desk; raises `ApiError` with what is wrong and where."""
    try:
        message: Incoming = _decoder.decode(data)
        return message
    except msgspec.ValidationError as error:
        return _again(data, error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(422, "invalid", f"not JSON: {error}") from None


def _again(data: bytes | str, error: msgspec.ValidationError) -> Incoming:
    """Times as the contract also takes them, with a blank or slashes; everything else is refused."""
    record = msgspec.json.decode(data)
    if not isinstance(record, dict):
        raise ApiError(422, "invalid", f"expected an object with `type`, found {type(record).__name__}") from None
    if record.get("type") not in _TYPES:
        found = f"unknown `type` {record['type']!r}" if "type" in record else "`type` is missing"
        raise ApiError(422, "invalid", f"{found}; a desk sends {', '.join(_TYPES)}", "/type") from None
    try:
        _read_times(record)
        _read_times(record.get("about"))
        converted: Incoming = msgspec.convert(record, Incoming)
        return converted
    except InputError as problem:
        raise ApiError(422, "invalid", str(problem), pointer(str(problem))) from None
    except msgspec.ValidationError:
        raise ApiError(422, "invalid", str(error), _field(str(error))) from None


def _read_times(record: Any) -> None:
    if isinstance(record, dict):
        record |= {name: parse_time(record[name], name) for name in _TIMES if isinstance(record.get(name), str)}


def _field(message: str) -> str | None:
    place = pointer(message)
    if place is None and "`" in message:
        return "/" + message.split("`")[1]
    return place


def told_of(data: bytes | str) -> tuple[int | None, str | None]:
    """(seq, conversation) of a message that is not right, as far as they can be read."""
    try:
        found = msgspec.json.decode(data, type=_Loose)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        seq = _SEQ.search(data if isinstance(data, bytes) else data.encode("utf-8", "replace"))
        return (None if seq is None else int(seq[1])), None
    return found.seq, found.conversation


def encoded(message: Outgoing) -> bytes:
    """The message as it goes out."""
    return msgspec.json.encode(message)
