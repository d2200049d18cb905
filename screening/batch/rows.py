"""The rows of a scored archive as a stream: in order, a batch at a time."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from screening.batch.schemas import NO_DAY
from screening.batch.storage import Folder
from screening.errors import InputError

BATCH_ROWS = 1 << 14


def days(folder: Folder, dataset: str = "screenings") -> list[str]:
    """The days of a dataset in order, that of conversations without any time last."""
    found = [name.removeprefix("day=") for name in folder.names(dataset) if name.startswith("day=")]
    return sorted(found, key=lambda day: (day == NO_DAY, day))


def rows(
    folder: Folder, below: str, columns: Sequence[str] | None = None, batch_rows: int = BATCH_ROWS
) -> Iterator[pa.RecordBatch]:
    """The rows of the Parquet files that lie directly in a folder of an archive (`flags/day=2026-03-02`, `history`); by place.

    Raises `InputError` where a file is damaged or of another version.
    """
    for name in folder.names(below):
        try:
            with pq.ParquetFile(folder.open(f"{below}/{name}")) as file:
                missing = [column for column in columns or () if column not in file.schema_arrow.names]
                if missing:
                    raise InputError(f"{below}/{name}: no column {missing[0]!r}; another version scored it: score it again")
                yield from file.iter_batches(batch_rows, columns=columns)
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"{below}/{name}: {error}; score the archive again") from None
