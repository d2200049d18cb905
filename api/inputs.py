"""Conversations as they come over HTTP: decoded by the core's own reader, held against the service's limits."""

import re
from typing import NamedTuple

import msgspec

from api.errors import ApiError, as_api_error, over_limit
from api.settings import Settings
from screening.errors import InputError
from screening.readers.records import from_json
from screening.types import Conversation

ID_LENGTH = 200
_IDS = ("id", "vendor_id", "agent_id", "customer_id")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f]")
_items = msgspec.json.Decoder(list[msgspec.Raw])


class ItemError(NamedTuple):
    """Why one item of a batch was refused; the parts of the error envelope that concern the item."""

    code: str
    message: str
    field: str | None


def conversation(body: bytes, settings: Settings) -> Conversation:
    """The conversation in a request's body; raises `InputError` or `ApiError`."""
    return checked(_read(body), settings)


def batch(body: bytes, settings: Settings) -> list[Conversation | ItemError]:
    """The items of a JSON array, each a conversation or the reason why not; raises where the whole cannot be used."""
    try:
        items = _items.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = f"expected a JSON array of conversations: {error}"
        raise ApiError(422, "invalid", message) from None
    if not items:
        raise ApiError(422, "invalid", "the array is empty; send 1 or more conversations")
    if len(items) > settings.max_batch:
        raise over_limit(f"{len(items)} conversations are more than the limit of {settings.max_batch} (max_batch)", "")
    return [_item(item, settings) for item in items]


def _item(item: msgspec.Raw, settings: Settings) -> Conversation | ItemError:
    try:
        return checked(_read(bytes(item)), settings)
    except (InputError, ApiError) as error:
        return item_error(error)


def item_error(error: Exception) -> ItemError:
    """An error as it stands beside the results of other items."""
    known = as_api_error(error)
    return ItemError(known.code, known.message, known.field)


def _read(body: bytes) -> Conversation:
    try:
        return from_json(body)
    except RecursionError:
        raise InputError("not JSON that can be used: it is nested too deeply") from None


def checked(found: Conversation, settings: Settings) -> Conversation:
    """The conversation itself where it keeps within the limits; raises `ApiError` otherwise."""
    if len(found.turns) > settings.max_turns:
        raise over_limit(f"{len(found.turns)} turns are more than the limit of {settings.max_turns} (max_turns)", "/turns")
    longest = settings.max_text_length
    for i, turn in enumerate(found.turns):
        if len(turn.text) > longest:
            message = f"turn {i} has {len(turn.text)} characters, more than the limit of {longest} (max_text_length)"
            raise over_limit(message, f"/turns/{i}/text")
    for name in _IDS:
        value = getattr(found, name)
        if value is None:
            continue
        if len(value) > ID_LENGTH:
            raise over_limit(f"`{name}` has {len(value)} characters, more than the limit of {ID_LENGTH}", f"/{name}")
        if _UNPRINTABLE.search(value):
            raise ApiError(422, "invalid", f"`{name}` holds a control character", f"/{name}")
    return found
