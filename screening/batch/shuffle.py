"""Input rows to chunks by the hash of their conversation, through files on disk: memory is bounded by a setting, not by the input.

A run file holds one record batch for each chunk, so a chunk is read by its number from every run. How many chunks there are rests on the
input alone, so that no result depends on the number of workers.
"""

import zlib
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from screening.batch.reading import Options, batches
from screening.batch.schemas import ROWS
from screening.batch.sources import Source
from screening.batch.storage import Folder

CHUNK_BYTES = 1 << 20
MOST_CHUNKS = 4096
RUNS = "runs"


def chunks_for(sources: Sequence[Source]) -> int:
    """How many chunks the input is cut into."""
    weight = sum(source.weight for source in sources)
    return max(1, min(MOST_CHUNKS, -(-weight // CHUNK_BYTES)))


class Spilled:
    """Collects rows and writes a run whenever `limit` bytes are full; `rows` counts those of each chunk."""

    def __init__(self, folder: Folder, chunks: int, limit: int):
        self._folder = folder
        self._chunks = chunks
        self._limit = limit
        self._waiting: list[pa.RecordBatch] = []
        self._bytes = 0
        self.runs = 0
        self.rows = np.zeros(chunks, dtype=np.int64)

    def add(self, batch: pa.RecordBatch) -> None:
        """Take a batch of rows."""
        self._waiting.append(batch)
        self._bytes += batch.nbytes
        if self._bytes >= self._limit:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting as a run."""
        if not self._waiting:
            return
        table = pa.Table.from_batches(self._waiting, ROWS).combine_chunks()
        self._waiting, self._bytes = [], 0
        chunk_of = _hashed(table) % self._chunks
        order = np.argsort(chunk_of, kind="stable")
        ends = np.cumsum(np.bincount(chunk_of, minlength=self._chunks))
        self.rows += np.diff(ends, prepend=0)
        ordered = table.take(pa.array(order)).combine_chunks()
        del table
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with self._folder.sink(f"{RUNS}/{self.runs:05}.arrow") as sink, pa.ipc.new_file(sink, ROWS, options=options) as writer:
            first = 0
            for end in ends.tolist():
                parts = ordered.slice(first, end - first).to_batches()
                writer.write_batch(parts[0] if parts else pa.RecordBatch.from_pylist([], ROWS))
                first = end
        self.runs += 1


def _hashed(table: pa.Table) -> npt.NDArray[np.int64]:
    """crc32 of each row's conversation; of a row without an id, its place."""
    ids = table["id"].combine_chunks().dictionary_encode()
    codes = np.array([zlib.crc32(id_.encode()) for id_ in ids.dictionary.to_pylist()] or [0], dtype=np.int64)
    known = pc.is_valid(ids.indices).to_numpy(zero_copy_only=False)
    places = table["place"].to_numpy()
    hashed: npt.NDArray[np.int64] = np.where(known, codes[pc.fill_null(ids.indices, 0).to_numpy(zero_copy_only=False)], places)
    return hashed


def spill(
    folder: Folder, sources: Sequence[Source], options: Options, chunks: int, limit: int, told: Callable[[int, int], None]
) -> tuple[int, list[int]]:
    """Read all input into runs: (number of runs, rows of each chunk). `told(source, rows so far)` is called on the way."""
    spilled = Spilled(folder, chunks, limit)
    place = 0
    for number, source in enumerate(sources):
        first = place
        for batch in batches(source, number, options):
            place = first + batch.column(0)[-1].as_py() + 1
            spilled.add(batch.set_column(0, ROWS.field("place"), pc.add(batch.column(0), first)))
            told(number, place)
    spilled.flush()
    return spilled.runs, spilled.rows.tolist()


def chunk(folder: Folder, number: int) -> pa.Table:
    """The rows of one chunk in the order of the input."""
    found = []
    for name in folder.names(RUNS):
        with folder.open(f"{RUNS}/{name}") as file:
            found.append(pa.ipc.open_file(file).get_batch(number))
    return pa.Table.from_batches(found, ROWS)
