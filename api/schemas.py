"""What the management endpoints take, as far as several share it."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _printable(text: str) -> str:
    if any(ord(char) < 32 and char not in "\n\t" for char in text) or "\x7f" in text:
        raise ValueError("holds a control character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half of a character (a lone surrogate)") from None
    return text


Text = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]
"""A short text: a name, an id, a reason."""
Note = Annotated[str, Field(max_length=4000), AfterValidator(_printable)]
"""A longer text, may be empty."""
RowId = Annotated[int, Field(ge=1, le=2**63 - 1)]
"""The number of a row."""


class Input(BaseModel):
    """A body that refuses fields it does not know."""

    model_config = ConfigDict(extra="forbid")
