"""CSV and Parquet as streams, XLSX whole: rows with their numbers, handed to an arrangement (`rows`, `assemble`)."""

import csv
import re
from collections.abc import Iterator
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

from screening.errors import InputError
from screening.readers import mapping
from screening.readers.encoding import open_text
from screening.readers.records import Refused
from screening.readers.rows import Arrange, Made, Row

WHOLE_LIMIT = 200 * 1024 * 1024
"""Formats that cannot be streamed (XLSX, JSON arrays) are refused above this size in bytes."""

FIELD_LIMIT = 16 * 1024 * 1024
_PARQUET_ROWS = 4096


def refuse_large(path: Path, name: str, what: str) -> None:
    """Raise `InputError` for a file that would have to be held whole and is too large for it."""
    size = path.stat().st_size
    if size > WHOLE_LIMIT:
        raise InputError(
            f"{name}: {what} of {size / 1048576:.0f} MB; the limit is {WHOLE_LIMIT // 1048576} MB, because the format cannot be "
            "read as a stream: save it as JSON Lines, CSV or Parquet"
        )


def read_csv(source: Path | BinaryIO, name: str, columns: str | None, arrange: Arrange[Made]) -> Iterator[Made | Refused]:
    """CSV with a header (or a profile that says there is none), in any of the known encodings."""
    text, encoding = open_text(source)
    with text:
        profile = None if columns is None else mapping.load(columns)
        reader = csv_rows(text, encoding, profile)
        try:
            titles = next(reader, None) if profile is None or profile.header else None
            if titles is None and (profile is None or profile.header):
                raise InputError(f"{name}: the file is empty")
            if profile is None:
                profile = mapping.choose(None, titles or [])
            width = max((c for options in profile.columns.values() for c in options if isinstance(c, int)), default=0)
            laid = mapping.lay(profile, titles if titles is not None else [str(i + 1) for i in range(width)])
            yield from arrange(_csv_rows(reader), profile, laid, name)
        except UnicodeDecodeError as error:
            yield Refused(name, reader.line_num + 1, f"not {encoding} text from here on ({error.reason}); save the file as UTF-8")
        except csv.Error as error:
            yield Refused(name, reader.line_num, f"not CSV from here on: {error}")


def csv_rows(text: TextIOWrapper, encoding: str, profile: mapping.ColumnProfile | None) -> Any:
    """A `csv.reader` over the text, by the profile's delimiter or the one that the first line shows."""
    csv.field_size_limit(FIELD_LIMIT)
    delimiter = (profile and profile.delimiter) or _delimiter(cast("BufferedReader", text.buffer).peek(65536)[:65536], encoding)
    quoting: Literal[0, 3] = csv.QUOTE_NONE if profile is not None and not profile.header else csv.QUOTE_MINIMAL
    return csv.reader((line.replace("\0", "\ufffd") for line in text), delimiter=delimiter, quoting=quoting)


def _csv_rows(reader: Any) -> Iterator[Row]:
    for cells in reader:
        if cells:
            yield reader.line_num, cells


def _delimiter(sample: bytes, encoding: str) -> str:
    head = re.split("[\r\n]", sample.decode(encoding, "ignore"), maxsplit=1)[0]
    return max(",\t;|", key=head.count)


def read_xlsx(path: Path, name: str, columns: str | None, arrange: Arrange[Made]) -> Iterator[Made | Refused]:
    """The first sheet, or the one that the profile names."""
    profile = None if columns is None else mapping.load(columns)
    _, rows = workbook_rows(path, name, profile)
    if not rows:
        raise InputError(f"{name}: the sheet is empty")
    has_header = profile is None or profile.header
    titles = [str(title) for title in rows[0]] if has_header else [str(i + 1) for i in range(len(rows[0]))]
    profile = mapping.choose(columns, titles)
    laid = mapping.lay(profile, titles)
    start = 1 if has_header else 0
    numbered = ((i, cells) for i, cells in enumerate(rows[start:], start + 1) if any(c not in ("", None) for c in cells))
    yield from arrange(numbered, profile, laid, name)


def workbook_rows(path: Path, name: str, profile: mapping.ColumnProfile | None) -> tuple[list[str], list[list[Any]]]:
    """The names of a workbook's sheets, and the rows of the first one or the one that the profile names."""
    import python_calamine  # noqa: PLC0415 - only where a workbook is read

    refuse_large(path, name, "a workbook")
    try:
        workbook = python_calamine.CalamineWorkbook.from_path(str(path))
        names = workbook.sheet_names
        wanted = profile.sheet if profile is not None and profile.sheet else names[0]
        if wanted not in names:
            raise InputError(f"{name}: no sheet {wanted!r}; there are: {', '.join(names)}")
        rows = workbook.get_sheet_by_name(wanted).to_python(skip_empty_area=False)
    except (python_calamine.CalamineError, IndexError, OSError) as error:
        raise InputError(f"{name}: not a readable workbook ({error}); open it and save it again as XLSX") from None
    return names, rows


def read_parquet(path: Path, name: str, columns: str | None, arrange: Arrange[Made]) -> Iterator[Made | Refused]:
    """Row groups as a stream; a column of structs or lists is taken as it is."""
    import pyarrow as pa  # noqa: PLC0415 - only where Parquet is read
    import pyarrow.parquet as pq  # noqa: PLC0415 - only where Parquet is read

    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{name}: not a readable Parquet file ({error})") from None
    with file:
        titles = file.schema_arrow.names
        profile = mapping.choose(columns, titles)
        laid = mapping.lay(profile, titles)
        yield from arrange(_parquet_rows(file), profile, laid, name)


def _parquet_rows(file: Any) -> Iterator[Row]:
    row = 0
    for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
        lists = [column.to_pylist() for column in batch.columns]
        for cells in zip(*lists, strict=True):
            row += 1
            yield row, cells
