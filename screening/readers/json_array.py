"""A JSON file: one conversation, or an array of them (held whole, so limited in size)."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from screening.errors import InputError
from screening.readers.encoding import open_text
from screening.readers.records import Refused, from_record
from screening.readers.tables import refuse_large
from screening.types import Conversation


def read(path: Path, name: str) -> Iterator[Conversation | Refused]:
    """Conversations and refusals; `row` counts the entries of the array from 1."""
    refuse_large(path, name, "a JSON file")
    try:
        with open_text(path)[0] as text:
            data = msgspec.json.decode(text.read())
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{name}: not JSON: {error}") from None
    for row, record in enumerate(data if isinstance(data, list) else [data], 1):
        try:
            yield from_record(record)
        except InputError as error:
            yield Refused(name, row, str(error))
