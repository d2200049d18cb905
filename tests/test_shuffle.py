import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from screening.batch import shuffle
from screening.batch.reading import Options
from screening.batch.sources import expand
from screening.batch.storage import Folder

_SPILL = """
import sys
from pathlib import Path
from screening.batch import shuffle
from screening.batch.reading import Options
from screening.batch.sources import expand
from screening.batch.storage import Folder
shuffle.spill(Folder(sys.argv[2]), expand([sys.argv[1]]), Options(), 16, 4 << 20, lambda *_: None)
print(next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")))
"""


def table(path: Path, rows: int) -> Path:
    """Messages of `rows / 10` conversations, scattered."""
    ids = [f"c{i * 7919 % (rows // 10)}" for i in range(rows)]
    columns = {"conversation_id": ids, "role": ["agent"] * rows, "text": ["您好，请问有什么可以帮您？"] * rows}
    pq.write_table(pa.table(columns), path, row_group_size=50_000)
    return path


def test_every_row_lies_in_one_chunk_with_all_of_its_conversation(tmp_path: Path) -> None:
    table(tmp_path / "m.parquet", 40_000)
    folder = Folder(str(tmp_path / "work"))
    runs, rows = shuffle.spill(folder, expand([str(tmp_path / "m.parquet")]), Options(), 7, 100_000, lambda *_: None)
    assert runs > 1 and sum(rows) == 40_000 and min(rows) > 0
    chunks = [shuffle.chunk(folder, number) for number in range(7)]
    assert [chunk.num_rows for chunk in chunks] == rows
    assert sorted(place for chunk in chunks for place in chunk["place"].to_pylist()) == list(range(40_000))
    homes: dict[str, set[int]] = {}
    for number, chunk in enumerate(chunks):
        assert chunk["place"].to_pylist() == sorted(chunk["place"].to_pylist())
        for id_ in chunk["id"].to_pylist():
            homes.setdefault(id_, set()).add(number)
    assert len(homes) == 4000 and all(len(own) == 1 for own in homes.values())


@pytest.mark.slow
def test_memory_does_not_grow_with_the_input(tmp_path: Path) -> None:
    peaks = []  # kB
    for rows in (100_000, 500_000):
        file = table(tmp_path / f"{rows}.parquet", rows)
        arguments = [sys.executable, "-c", _SPILL, str(file), str(tmp_path / f"work{rows}")]
        peaks.append(int(subprocess.run(arguments, capture_output=True, text=True, check=True).stdout))
    assert peaks[1] - peaks[0] < 30_000, peaks
