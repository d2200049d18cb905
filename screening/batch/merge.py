"""The parts of all chunks as datasets: one file a day, rows in the order of the input, in memory only what is being written."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from screening.batch.counts import Counts
from screening.batch.schemas import DATASETS
from screening.batch.score import part
from screening.batch.work import PARTS, Format, Work

ROW_GROUP = 1 << 16
_OPEN_AT_ONCE = 512


def merged(work: Work, format_: Format) -> Counts:
    """Write the datasets of a run whose chunks are all done; gives the counts of all. Doing it twice writes the same bytes."""
    total = Counts()
    parts: dict[str, dict[str, list[tuple[int, int]]]] = {}
    for number in sorted(work.done()):
        counts = msgspec.json.decode(work.state.read(f"{PARTS}/{number:05}.json"), type=Counts)
        total.add(counts)
        for name, days in counts.datasets.items():
            for index, day in enumerate(days):
                parts.setdefault(name, {}).setdefault(day, []).append((number, index))
    for name, by_day in parts.items():
        work.out.remove(name)
        for day in sorted(by_day):
            _write(work, format_, name, day, _in_order(work, name, by_day[day]))
    if format_ == "parquet":
        for name in ("screenings", "flags", "candidates", "refused"):  # a dataset without a row still has its schema
            if name not in parts:
                _write(work, format_, name, "", iter(()))
    return total


def _write(work: Work, format_: Format, name: str, day: str, batches: Iterator[pa.Table]) -> None:
    if format_ == "parquet":
        path = f"{name}/day={day}/part-0.parquet" if day else f"{name}/part-0.parquet"
        with work.out.sink(path) as sink, pq.ParquetWriter(sink, DATASETS[name], compression="zstd") as writer:
            for table in batches:
                writer.write_table(table, row_group_size=ROW_GROUP)
        return
    with work.out.sink("refused.jsonl" if name == "refused" else "screenings.jsonl") as sink:
        for table in batches:
            lines = table["line"].to_pylist() if name == "lines" else map(msgspec.json.encode, table.to_pylist())
            sink.write(b"".join(line + b"\n" for line in lines))


def _in_order(work: Work, name: str, parts: Sequence[tuple[int, int]]) -> Iterator[pa.Table]:
    """The rows of one day of all chunks by place, a row group at a time.

    Each part is in order, so the places of all tell where every row group begins in each of them.
    """
    opened = lru_cache(_OPEN_AT_ONCE)(lambda number: pa.ipc.open_file(work.state.open(part(number, name))))
    places = [opened(number).get_batch(index).column(0).to_numpy() for number, index in parts]
    every = np.sort(np.concatenate(places))
    bounds = [*dict.fromkeys(every[::ROW_GROUP].tolist()), int(every[-1]) + 1]
    cuts = [np.searchsorted(own, bounds) for own in places]
    for k in range(len(bounds) - 1):
        found = [
            opened(number).get_batch(index).slice(cut[k], cut[k + 1] - cut[k])
            for (number, index), cut in zip(parts, cuts, strict=True)
            if cut[k] < cut[k + 1]
        ]
        yield pa.Table.from_batches(found, DATASETS[name]).take(_order(found))


def _order(batches: Sequence[pa.RecordBatch]) -> pa.Array:
    """Rows by place; those of one conversation keep their order."""
    return pa.array(np.argsort(np.concatenate([batch.column(0).to_numpy() for batch in batches]), kind="stable"))
