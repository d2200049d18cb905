"""Bring together the messages of one conversation that a table scatters: sorted on disk, so memory stays flat."""

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from screening.readers.mapping import ColumnProfile, LaidColumns, cell
from screening.readers.records import Refused
from screening.readers.rows import Row, conversations
from screening.types import Conversation

_BATCH = 2000


def assembled(rows: Iterable[Row], profile: ColumnProfile, laid: LaidColumns, name: str) -> Iterator[Conversation | Refused]:
    """The conversations of all rows, in the order of their first rows; messages keep the order of the table."""
    with tempfile.TemporaryDirectory(prefix="screening-assemble-") as folder:
        store = sqlite3.connect(Path(folder) / "rows.db")
        try:
            store.execute("PRAGMA journal_mode = OFF")
            store.execute("CREATE TABLE line (place INTEGER PRIMARY KEY, id TEXT, cells BLOB)")
            store.execute("CREATE TABLE first (id TEXT PRIMARY KEY, place INTEGER) WITHOUT ROWID")
            _fill(store, rows, laid.fields["id"])
            store.execute("CREATE INDEX line_id ON line (id, place)")
            yield from conversations(_sorted(store), profile, laid, name)
        finally:
            store.close()


def _fill(store: sqlite3.Connection, rows: Iterable[Row], place: int) -> None:
    batch: list[tuple[int, str, bytes]] = []
    for row, cells in rows:
        id_ = cell(cells[place]) if place < len(cells) else None
        batch.append((row, "" if id_ is None else str(id_).strip(), msgspec.msgpack.encode([cell(c) for c in cells])))
        if len(batch) >= _BATCH:
            _write(store, batch)
            batch = []
    _write(store, batch)


def _write(store: sqlite3.Connection, batch: list[tuple[int, str, bytes]]) -> None:
    store.executemany("INSERT INTO line VALUES (?, ?, ?)", batch)
    store.executemany("INSERT OR IGNORE INTO first VALUES (?, ?)", [(id_, row) for row, id_, _ in batch])


def _sorted(store: sqlite3.Connection) -> Iterator[tuple[int, list[Any]]]:
    query = "SELECT line.place, line.cells FROM first JOIN line ON line.id = first.id ORDER BY first.place, line.place"
    for row, cells in store.execute(query):
        yield row, msgspec.msgpack.decode(cells)
