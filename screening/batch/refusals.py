"""The refused inputs of a finished archive, for people."""

from collections.abc import Iterator
from itertools import islice

import msgspec
import pyarrow.parquet as pq

from screening.batch.storage import Folder


def first(root: str, count: int) -> Iterator[str]:
    """The first refusals as lines: file, row, reason."""
    return (f"{row['source']}:{row['row']}: {row['reason']}" for row in islice(_rows(Folder(root)), count))


def _rows(out: Folder) -> Iterator[dict[str, object]]:
    if out.exists("refused.jsonl"):
        yield from (msgspec.json.decode(line) for line in out.read("refused.jsonl").splitlines())
        return
    with out.open("refused/part-0.parquet") as file:
        for batch in pq.ParquetFile(file).iter_batches():
            yield from batch.to_pylist()
