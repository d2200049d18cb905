"""JSON Lines: one conversation a line, read as a stream."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from screening.errors import InputError
from screening.readers.encoding import open_text
from screening.readers.records import Refused, from_json
from screening.readers.seen import SeenIds, double
from screening.types import Conversation


def read(source: Path | BinaryIO, name: str) -> Iterator[Conversation | Refused]:
    """Conversations and refusals in file order. A line that cannot be decoded ends the file: what follows has no place."""
    text, encoding = open_text(source)
    seen = SeenIds()
    row = 0
    with text:
        while True:
            row += 1
            try:
                line = text.readline()
            except UnicodeDecodeError as error:
                yield Refused(name, row, f"not {encoding} text from here on ({error.reason}); save the file as UTF-8")
                return
            if not line:
                return
            line = line.strip()
            if not line:
                continue
            try:
                conversation = from_json(line)
            except InputError as error:
                yield Refused(name, row, str(error))
            else:
                yield conversation if seen.add(conversation.id) else double(name, row, conversation.id)
