import gzip
from pathlib import Path

import pyarrow as pa
import pytest

from screening.batch.sources import expand, on_disk, opened
from screening.errors import InputError


def test_files_globs_and_directories_stand_once_and_in_a_fixed_order(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.csv", "sub/c.jsonl.gz", "_SUCCESS", ".hidden.csv", "sub/notes.pdf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = expand([str(tmp_path / "b.jsonl"), str(tmp_path), str(tmp_path / "*.csv")])
    assert [Path(s.name).name for s in found] == ["b.jsonl", "a.csv", "c.jsonl.gz", "notes.pdf"]
    assert [(s.format, s.compression) for s in found] == [("jsonl", None), ("csv", None), ("jsonl", "gzip"), (None, None)]
    assert [Path(s.name).name for s in expand([str(tmp_path / "**" / "*.gz")])] == ["c.jsonl.gz"]


def test_hive_folders_are_values(tmp_path: Path) -> None:
    file = tmp_path / "vendor_id=v%201" / "day=2026-03-02" / "chats.parquet"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x")
    (source,) = expand([str(tmp_path)])
    assert source.partition == {"vendor_id": "v 1", "day": "2026-03-02"}


@pytest.mark.parametrize(
    ("given", "message"),
    [("none.csv", "no such file or directory"), ("*.parquet", "no file fits"), ("empty", "no file in this directory")],
)
def test_what_names_nothing_is_refused(tmp_path: Path, given: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=message):
        expand([str(tmp_path / given)])


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown format 'xml'; there are: chat, csv"):
        expand([str(tmp_path)], "xml")


def test_the_output_is_no_input_of_its_own_run(tmp_path: Path) -> None:
    (tmp_path / "scored").mkdir()
    for name in ("a.jsonl", "scored/part-0.parquet"):
        (tmp_path / name).write_bytes(b"x")
    assert [Path(s.name).name for s in expand([str(tmp_path)], out=str(tmp_path / "scored"))] == ["a.jsonl"]


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_a_file_is_read_as_it_was_before_compression(tmp_path: Path, suffix: str) -> None:
    plain = "会话ID,角色\n".encode() * 1000
    packed = {"": plain, ".gz": gzip.compress(plain), ".zst": pa.compress(plain, codec="zstd", asbytes=True)}[suffix]
    (tmp_path / f"a.csv{suffix}").write_bytes(packed)
    (source,) = expand([str(tmp_path)])
    assert source.weight >= len(packed)
    with opened(source) as file:
        assert file.read() == plain
    with on_disk(source) as path:
        assert path.read_bytes() == plain
