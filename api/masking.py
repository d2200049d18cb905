"""Personal data covered by asterisks, one for each character, so that every offset keeps its meaning. The one place for it."""

from typing import Any

import msgspec

from screening.detect.privacy import mask
from screening.normalise.clean import clean_text
from screening.types import Conversation, Screening


def masked_text(text: str) -> str:
    """The text with numbers, addresses and the like covered; as long as before."""
    clean = clean_text(text)
    return mask(text, clean.clean, None if clean.origin is None else list(clean.origin))


def masked_conversation(conversation: Conversation) -> Conversation:
    """The conversation with the personal data in its texts, its customer's id and its attributes covered."""
    turns = tuple(msgspec.structs.replace(turn, text=masked_text(turn.text)) for turn in conversation.turns)
    customer = None if conversation.customer_id is None else masked_text(conversation.customer_id)
    return msgspec.structs.replace(
        conversation, turns=turns, customer_id=customer, attributes=_masked_value(conversation.attributes)
    )


def masked_screening(screening: Screening, masked: Conversation) -> Screening:
    """The screening with its quotes taken from the masked conversation."""
    flags = tuple(
        flag if flag.turn is None else msgspec.structs.replace(flag, quote=masked.turns[flag.turn].text[flag.start : flag.end])
        for flag in screening.flags
    )
    return msgspec.structs.replace(screening, flags=flags)


def _masked_value(value: Any) -> Any:
    if isinstance(value, str):
        return masked_text(value)
    if isinstance(value, dict):
        return {key: _masked_value(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_masked_value(one) for one in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**6:
        text = str(value)
        return value if masked_text(text) == text else masked_text(text)
    return value
