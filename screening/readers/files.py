"""From a file's name to its reader, with the check for doubles that all formats share."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from screening.errors import InputError
from screening.readers import chat_text, json_array, jsonl, tables
from screening.readers.assemble import assembled
from screening.readers.records import Refused
from screening.readers.rows import Arrange, conversations
from screening.readers.seen import without_doubles
from screening.types import Conversation

__all__ = ["FORMATS", "Refused", "read"]

FORMATS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".xlsx": "xlsx",
    ".xls": "xlsx",
    ".xlsb": "xlsx",
    ".ods": "xlsx",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".txt": "chat",
    ".log": "chat",
}


def read(
    file: str,
    *,
    columns: str | None = None,
    roles: Path | None = None,
    format_: str | None = None,
    assemble: bool = False,
    name: str | None = None,
) -> Iterator[Conversation | Refused]:
    """Conversations and refusals of a file, or of standard input for "-"; raises `InputError` when the whole cannot be read.

    `assemble`: bring the messages of one conversation together where a table scatters them (needs room on disk). `name`: what
    refusals call the file, and what ids of plain chat text are made of, where its path says nothing to the reader.
    """
    path = Path(file)
    kind = format_ or ("jsonl" if file == "-" else FORMATS.get(path.suffix.lower()))
    if kind is None or kind not in FORMATS.values():
        known = ", ".join(sorted(set(FORMATS.values())))
        raise InputError(f"{file}: unknown format {kind or path.suffix or '(no suffix)'}; name one of {known} with --format")
    if file != "-" and not path.is_file():
        raise InputError(f"{file}: no such file")
    if file != "-" and path.stat().st_size == 0:
        raise InputError(f"{name or file}: the file is empty")
    name = name or ("standard input" if file == "-" else file)
    source = sys.stdin.buffer if file == "-" else path
    items = _items(source, kind, name, columns, roles, assembled if assemble else conversations)
    return items if kind == "jsonl" else without_doubles(items, name)  # a line of JSON Lines is named by its number


def _items(
    source: Path | BinaryIO,
    kind: str,
    name: str,
    columns: str | None,
    roles: Path | None,
    arrange: Arrange[Conversation | Refused],
) -> Iterator[Conversation | Refused]:
    if kind == "jsonl":
        return jsonl.read(source, name)
    if kind == "csv":
        return tables.read_csv(source, name, columns, arrange)
    if kind == "chat":
        return chat_text.read(source, name, chat_text.load_roles(roles) if roles else chat_text.ChatRoles())
    if not isinstance(source, Path):
        raise InputError(f"{kind} cannot be read from standard input; give a file")
    if kind == "json":
        return json_array.read(source, name)
    if kind == "xlsx":
        return tables.read_xlsx(source, name, columns, arrange)
    return tables.read_parquet(source, name, columns, arrange)
