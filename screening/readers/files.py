"""From a file's name to its reader, with the check for doubles that all formats share."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from screening.errors import InputError
from screening.readers import jsonl
from screening.readers.records import Refused
from screening.readers.seen import SeenIds
from screening.types import Conversation


def read(path: Path) -> Iterator[Conversation | Refused]:
    """Conversations and refusals of one file; raises `InputError` when the file as a whole cannot be read."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    suffix = path.suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        return without_doubles(jsonl.read(path, path.name), path.name)
    raise InputError(f"{path.name}: unknown format {suffix or '(no suffix)'}")


def without_doubles(items: Iterable[Conversation | Refused], name: str) -> Iterator[Conversation | Refused]:
    """Refuse every conversation whose id was seen before."""
    seen = SeenIds()
    count = 0
    for item in items:
        count += 1
        if isinstance(item, Conversation) and not seen.add(item.id):
            yield Refused(name, count, f"id {item.id!r} stands already in an earlier row; ids are unique in a file", item.id)
        else:
            yield item
