"""What a desk asks before a message goes out, and what it is told."""

from typing import Literal

import msgspec

from api.assist.policy import VerdictVersions
from api.errors import ApiError, over_limit, pointer
from api.inputs import checked
from api.settings import Settings
from screening.errors import InputError
from screening.readers import records
from screening.types import Conversation, Level, Source, Turn

CONTEXT_TURNS = 8
DEADLINE_MOST = 60_000
Outcome = Literal["pass", "advise", "block", "degraded"]


class Draft(msgspec.Struct, frozen=True):
    """A draft to judge: `window` is the running conversation's last turns with the draft as the agent's last."""

    window: Conversation
    deadline_ms: int | None = None

    @property
    def text(self) -> str:
        """The draft's own words."""
        return self.window.turns[-1].text


class Place(msgspec.Struct, frozen=True):
    """Half-open range of code points of the draft."""

    start: int
    end: int


class Suggestion(msgspec.Struct, frozen=True):
    """Words instead of a part of the draft; what comes of it raises no flag. `rule` said them, None: the signal's own reply."""

    text: str
    replaces: Place
    reference: str | None
    signal: str
    rule: str | None


class DraftFlag(msgspec.Struct, frozen=True):
    """A flag of the screening, with places in the draft, and what it does to the draft."""

    signal: str
    start: int
    end: int
    quote: str
    score: float
    source: Source
    why: str
    action: Literal["block", "advise"]
    level: Level | None
    reference: str | None


class Verdict(msgspec.Struct, frozen=True):
    """Whether a draft may go out. `may_send` also says it where the verdict is degraded: no found flag blocks, and no signal that
    fails closed was left unchecked.
    """

    verdict: Outcome
    may_send: bool
    flags: tuple[DraftFlag, ...]
    suggestions: tuple[Suggestion, ...]
    not_checked: tuple[str, ...]
    check_id: str
    versions: VerdictVersions
    timing_ms: float


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    conversation: Conversation
    draft: str
    deadline_ms: int | None = None


_decoder = msgspec.json.Decoder(_Request)
_FIELDS = frozenset(_Request.__struct_fields__)


def draft_of(body: bytes, settings: Settings) -> Draft:
    """The draft in a request's body; raises `ApiError` with the field that must be mended."""
    try:
        request = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _read_slowly(body, settings)
    return Draft(window_of(request.conversation, request.draft, settings), _deadline(request.deadline_ms))


def draft_from(conversation: object, text: str, settings: Settings, deadline_ms: object = None) -> Draft:
    """The draft behind a conversation as a decoded object, read the forgiving way of the contract; raises `ApiError`."""
    if isinstance(conversation, dict) and isinstance(conversation.get("turns"), list):
        conversation = conversation | {"turns": [*conversation["turns"], {"role": "agent", "text": text}]}
    try:
        window = records.from_record(conversation)
    except InputError as error:
        raise _misread(error, conversation) from None
    return Draft(_held_to_limits(window, settings), _deadline(deadline_ms))


def window_of(conversation: Conversation, text: str, settings: Settings) -> Conversation:
    """A running conversation's last turns with a draft behind them; raises `ApiError`."""
    return _held_to_limits(msgspec.structs.replace(conversation, turns=(*conversation.turns, Turn("agent", text))), settings)


def resaid(window: Conversation, text: str, settings: Settings) -> Conversation:
    """The window with other words in place of the draft; raises `ApiError`."""
    return window_of(msgspec.structs.replace(window, turns=window.turns[:-1]), text, settings)


def _read_slowly(body: bytes, settings: Settings) -> Draft:
    try:
        record = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(422, "invalid", f"not JSON: {error}") from None
    if not isinstance(record, dict):
        raise ApiError(422, "invalid", f"expected an object with `conversation` and `draft`, found {type(record).__name__}")
    for name in ("conversation", "draft"):
        if name not in record:
            raise ApiError(422, "invalid", f"`{name}` is missing", f"/{name}")
    unknown = sorted(record.keys() - _FIELDS)
    if unknown:
        raise ApiError(422, "invalid", f"unknown field `{unknown[0]}`; there are: {', '.join(sorted(_FIELDS))}", f"/{unknown[0]}")
    if not isinstance(record["draft"], str):
        raise ApiError(422, "invalid", f"`draft` must be a text, found {type(record['draft']).__name__}", "/draft")
    return draft_from(record["conversation"], record["draft"], settings, record.get("deadline_ms"))


def _misread(error: InputError, conversation: object) -> ApiError:
    turns = conversation.get("turns") if isinstance(conversation, dict) else None
    message, last = str(error), f"turn {len(turns) - 1 if isinstance(turns, list) else None}"
    if message.startswith(f"{last}: "):
        return ApiError(422, "invalid", message.replace(last, "draft", 1), "/draft")
    return ApiError(422, "invalid", message, f"/conversation{pointer(message) or ''}")


def _held_to_limits(window: Conversation, settings: Settings) -> Conversation:
    before = len(window.turns) - 1
    if before > CONTEXT_TURNS:
        message = f"{before} turns stand before the draft; send the last {CONTEXT_TURNS}"
        raise over_limit(message, "/conversation/turns")
    text = window.turns[-1].text
    if not text.strip():
        raise ApiError(422, "invalid", "the draft is empty; there is nothing to judge", "/draft")
    if len(text) > settings.max_text_length:
        message = f"the draft has {len(text)} characters, more than the limit of {settings.max_text_length} (max_text_length)"
        raise over_limit(message, "/draft")
    try:
        return checked(records.checked(window), settings)
    except InputError as error:
        raise _misread(error, {"turns": list(window.turns)}) from None
    except ApiError as error:
        raise ApiError(error.status_code, error.code, error.message, f"/conversation{error.field or ''}") from None


def _deadline(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= DEADLINE_MOST:
        message = f"`deadline_ms` must be a whole number of milliseconds between 1 and {DEADLINE_MOST}"
        raise ApiError(422, "invalid", message, "/deadline_ms")
    return value
