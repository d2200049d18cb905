"""The first rows of a table as they stand, before any mapping: what a person needs to see to map it."""

import csv
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from screening.errors import InputError
from screening.readers import tables
from screening.readers.encoding import open_text
from screening.readers.mapping import ColumnProfile

TABLES = ("csv", "xlsx", "parquet")


class Head(NamedTuple):
    """A table's titles (numbers from 1 where the profile says that there are none), its first rows, a workbook's sheets."""

    titles: list[str]
    rows: list[list[Any]]
    sheets: list[str]


def head(path: Path, name: str, kind: str, profile: ColumnProfile | None, count: int) -> Head:
    """The head of a CSV, XLSX or Parquet file; raises `InputError` where it is none."""
    if kind == "parquet":
        return _parquet(path, name, count)
    sheets: list[str] = []
    if kind == "xlsx":
        sheets, rows = tables.workbook_rows(path, name, profile)
        filled = (cells for cells in rows[1:] if any(cell not in ("", None) for cell in cells))
        rows = [*rows[:1], *islice(filled, count)]  # the reader takes the first row for the titles, whatever stands in it
    else:
        rows = _csv(path, name, profile, count + 1)
    if not rows:
        raise InputError(f"{name}: the table is empty")
    if profile is not None and not profile.header:
        return Head([str(i + 1) for i in range(max(map(len, rows)))], rows[:count], sheets)
    return Head([str(title).strip() for title in rows[0]], rows[1:], sheets)


def _csv(path: Path, name: str, profile: ColumnProfile | None, count: int) -> list[list[Any]]:
    text, encoding = open_text(path)
    with text:
        try:
            return list(islice(filter(None, tables.csv_rows(text, encoding, profile)), count))
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{name}: not {encoding} CSV in its first rows ({error}); save the file as UTF-8") from None


def _parquet(path: Path, name: str, count: int) -> Head:
    import pyarrow as pa  # noqa: PLC0415 - only where Parquet is read
    import pyarrow.parquet as pq  # noqa: PLC0415 - only where Parquet is read

    try:
        with pq.ParquetFile(path) as file:
            batch = next(file.iter_batches(batch_size=count), None)
            titles = list(file.schema_arrow.names)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{name}: not a readable Parquet file ({error})") from None
    rows = [] if batch is None else [list(cells) for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True)]
    return Head(titles, rows, [])
