"""Input files as rows of one schema (`schemas.ROWS`), batch by batch; what cannot be read becomes a row with its reason."""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from screening.batch.schemas import ROWS
from screening.batch.sources import Source, on_disk, opened
from screening.errors import InputError
from screening.readers import chat_text, json_array, mapping, tables
from screening.readers.encoding import open_text
from screening.readers.files import FORMATS
from screening.readers.mapping import ColumnProfile, LaidColumns
from screening.readers.records import Refused
from screening.readers.rows import Row
from screening.readers.rows import conversations as one_each
from screening.types import Conversation

BATCH = 16384
_NO_ID = "the conversation's id is empty"
_FIELDS = [field for field in mapping.FIELDS if field in ROWS.names and field != "id"]


class Options(msgspec.Struct, frozen=True):
    """How tables and plain chat text are read, as `screening screen` has it."""

    columns: str | None = None
    roles: str | None = None


class _Head(msgspec.Struct):
    id: str | int


class _Line(NamedTuple):
    """A conversation or a refusal with the row it stands in."""

    row: int
    id: str | None
    body: bytes | None
    reason: str | None = None


_head = msgspec.json.Decoder(_Head)


def batches(source: Source, number: int, options: Options) -> Iterator[pa.RecordBatch]:
    """The rows of a file; `place` counts them from 0."""
    place = 0
    for part in _parts(source, options):
        columns = part if isinstance(part, dict) else _of_lines(part)
        size = len(columns["row"])
        columns |= {
            "place": pa.array(range(place, place + size), pa.int64()),
            "source": pa.repeat(pa.scalar(number, pa.int32()), size),
        }
        yield pa.record_batch([columns.get(f.name, pa.nulls(size, f.type)) for f in ROWS], schema=ROWS)
        place += size


def _parts(source: Source, options: Options) -> Iterator[dict[str, Any] | list[_Line]]:
    waiting: list[_Line] = []
    try:
        if source.format is None:
            known = ", ".join(sorted(set(FORMATS.values())))
            raise InputError(f"{source.name}: unknown format; name one of {known} with --input-format")
        if source.bytes == 0:
            raise InputError(f"{source.name}: the file is empty")
        for item in _items(source, options):
            if isinstance(item, dict):
                yield item
            else:
                waiting.append(_line(item))
            if len(waiting) >= BATCH:
                yield waiting
                waiting = []
    except InputError as error:
        waiting.append(_Line(0, None, None, str(error)))
    except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
        last = waiting[-1].row if waiting else 0
        waiting.append(_Line(last, None, None, f"cannot be read to its end ({error}); what stands before is screened"))
    if waiting:
        yield waiting


def _line(item: "_Line | Conversation | Refused") -> _Line:
    if isinstance(item, Refused):
        return _Line(item.row, item.id, None, item.reason)
    return item if isinstance(item, _Line) else _Line(0, item.id, msgspec.json.encode(item))


def _of_lines(lines: Sequence[_Line]) -> dict[str, Any]:
    return {
        "row": pa.array([line.row for line in lines], pa.int64()),
        "id": pa.array([line.id for line in lines], pa.string()),
        "body": pa.array([line.body for line in lines], pa.binary()),
        "reason": pa.array([line.reason for line in lines], pa.string()),
    }


def _items(source: Source, options: Options) -> Iterator[Any]:
    name, columns = source.name, options.columns
    if source.format in ("jsonl", "csv", "chat"):
        with opened(source) as file:
            if source.format == "jsonl":
                yield from _json_lines(file)
            elif source.format == "csv":
                yield from tables.read_csv(file, name, columns, _arranged)
            else:
                roles = chat_text.load_roles(Path(options.roles)) if options.roles else chat_text.ChatRoles()
                yield from _counted(chat_text.read(file, name, roles))
        return
    with on_disk(source) as path:
        if source.format == "json":
            yield from _counted(json_array.read(path, name))
        elif source.format == "xlsx":
            yield from tables.read_xlsx(path, name, columns, _arranged)
        else:
            yield from _parquet(path, name, columns)


def _counted(items: Iterable[Conversation | Refused]) -> Iterator[_Line]:
    """Conversations with their number in the file for a row."""
    for number, item in enumerate(items, 1):
        yield _line(item) if isinstance(item, Refused) else _Line(number, item.id, msgspec.json.encode(item))


def _json_lines(file: Any) -> Iterator[_Line]:
    """Lines as they stand, with their ids: whether they hold to the contract is seen where they are screened."""
    text, encoding = open_text(file)
    row = 0
    with text:
        while True:
            row += 1
            try:
                line = text.readline()
            except UnicodeDecodeError as error:
                yield _Line(row, None, None, f"not {encoding} text from here on ({error.reason}); save the file as UTF-8")
                return
            if not line:
                return
            if body := line.strip().encode():
                try:
                    yield _Line(row, str(_head.decode(body).id), body)
                except msgspec.DecodeError:
                    yield _Line(row, None, body)


def _arranged(rows: Iterable[Row], profile: ColumnProfile, laid: LaidColumns, name: str) -> Iterator[Any]:
    """A table's rows: messages as they are, to be assembled; conversations as the readers make them."""
    if profile.shape == "conversations":
        for row, cells in rows:
            for item in one_each([(row, cells)], profile, laid, name):
                yield item if isinstance(item, Refused) else _Line(row, item.id, msgspec.json.encode(item))
        return
    some: list[Row] = []
    for one in rows:
        some.append(one)
        if len(some) >= BATCH:
            yield _messages(some, profile, laid)
            some = []
    if some:
        yield _messages(some, profile, laid)


def _messages(rows: Sequence[Row], profile: ColumnProfile, laid: LaidColumns) -> dict[str, Any]:
    width = max((*laid.fields.values(), *laid.attributes.values(), *laid.rest.values()), default=0) + 1
    cells = list(zip(*([*own, *([None] * (width - len(own)))] for _, own in rows), strict=False))

    def column(place: int) -> Any:
        return pa.array([_text(mapping.cell(value)) for value in cells[place]], pa.string())

    named = {field: [mapping.cell(value) for value in cells[place]] for field, place in laid.attributes.items()}
    extras = {title: [mapping.cell(value) for value in cells[place]] for title, place in laid.rest.items()}
    found = {field: column(place) for field, place in laid.fields.items()}
    return _finished(pa.array([row for row, _ in rows], pa.int64()), found, named, extras, profile)


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)


def _parquet(path: Path, name: str, columns: str | None) -> Iterator[Any]:
    """Messages column by column; conversations through the reader."""
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{name}: not a readable Parquet file ({error})") from None
    with file:
        titles = file.schema_arrow.names
        profile = mapping.choose(columns, titles)
        laid = mapping.lay(profile, titles)
        row = 1
        for batch in file.iter_batches(batch_size=BATCH) if profile.shape == "messages" else ():
            found = {field: _strings(batch.column(place)) for field, place in laid.fields.items()}
            named, extras = (
                {title: [mapping.cell(value) for value in batch.column(place).to_pylist()] for title, place in group.items()}
                for group in (laid.attributes, laid.rest)
            )
            rows = pa.array(range(row, row + batch.num_rows), pa.int64())
            yield _finished(rows, found, named, extras, profile)
            row += batch.num_rows
    if profile.shape == "conversations":
        yield from tables.read_parquet(path, name, columns, _arranged)


def _strings(column: Any) -> Any:
    """A column's cells as `mapping.cell` makes them, without a Python object for each where the type allows."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type):
        return column
    if pa.types.is_large_string(column.type) or pa.types.is_integer(column.type) or pa.types.is_string_view(column.type):
        return column.cast(pa.string())
    if pa.types.is_timestamp(column.type):
        fine = column.cast(pa.timestamp("us", column.type.tz), safe=False)
        return pc.strftime(fine, format="%Y-%m-%dT%H:%M:%S%z" if column.type.tz else "%Y-%m-%dT%H:%M:%S")
    return pa.array([_text(mapping.cell(value)) for value in column.to_pylist()], pa.string())


def _finished(
    rows: Any, found: dict[str, Any], named: dict[str, list[Any]], extras: dict[str, list[Any]], profile: ColumnProfile
) -> dict[str, Any]:
    ids = pc.utf8_trim_whitespace(found["id"])
    empty = pc.fill_null(pc.equal(ids, ""), True)
    columns = {"row": rows, "id": pc.if_else(empty, None, ids), "reason": pc.if_else(empty, _NO_ID, pa.scalar(None, pa.string()))}
    columns |= {field: found[field] for field in _FIELDS if field in found}
    columns["role"] = _roles(found["role"], profile)
    for title, group in (("attributes", named), ("extras", extras)):
        if group:
            columns[title] = _objects(group)
    return columns


def _roles(column: Any, profile: ColumnProfile) -> Any:
    """Role words as the contract's roles; unknown ones stay, to be refused with their rows."""
    coded = column.dictionary_encode()
    meant: list[str | None] = []
    for word in coded.dictionary.to_pylist():
        try:
            meant.append(mapping.role_of(word, profile.roles) if word and word.strip() else None)
        except InputError:
            meant.append(word)
    return pa.array(meant, pa.string()).take(coded.indices)


def _objects(group: dict[str, list[Any]]) -> Any:
    titles = list(group)
    rows = zip(*group.values(), strict=True)
    filled = ({title: value for title, value in zip(titles, row, strict=True) if value is not None} for row in rows)
    return pa.array([msgspec.json.encode(row).decode() if row else None for row in filled], pa.string())
