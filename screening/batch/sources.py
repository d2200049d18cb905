"""What the inputs of a run stand for: files, globs, directories with Hive partitions, compressed or not, in a fixed order."""

import gzip
import io
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from glob import glob, has_magic
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast
from urllib.parse import unquote

import msgspec
import pyarrow as pa

from screening.batch.storage import fsspec_of, is_address
from screening.errors import InputError
from screening.readers.files import FORMATS

_COMPRESSIONS = {".gz": "gzip", ".gzip": "gzip", ".zst": "zstd", ".zstd": "zstd"}
_SWELL = {"gzip": 5, "zstd": 6, "parquet": 4, "xlsx": 6}
"""How many times its size a file of this kind is when it is read, roughly: only the number of chunks rests on it."""


class Source(msgspec.Struct, frozen=True):
    """One input file. `format` None: its name does not tell. `version` changes when the file does."""

    name: str
    format: str | None
    compression: str | None
    partition: dict[str, str]
    bytes: int
    version: str

    @property
    def weight(self) -> int:
        """About how many bytes of text it holds."""
        return self.bytes * _SWELL.get(self.compression or self.format or "", 1)


def expand(inputs: Sequence[str], format_: str | None = None, out: str | None = None) -> list[Source]:
    """The files that paths, globs and directories name, each once, in a fixed order; raises `InputError`.

    What lies in `out`, the run's own output, is no input of it.
    """
    if format_ is not None and format_ not in FORMATS.values():
        raise InputError(f"unknown format {format_!r}; there are: {', '.join(sorted(set(FORMATS.values())))}")
    found: dict[str, Source] = {}
    for given in inputs:
        files = list(_remote(given) if is_address(given) else _local(given))
        if not files:
            raise InputError(f"{given}: no file fits" if has_magic(given) else f"{given}: there is no file in this directory")
        for name, below, size, version in files:
            if name not in found and not (out and _lies_in(name, out)):
                kind, compression = _kind(name)
                found[name] = Source(name, format_ or kind, compression, _partition(below), size, version)
    return list(found.values())


def _lies_in(name: str, out: str) -> bool:
    if is_address(name) or is_address(out):
        return name.startswith(f"{out.rstrip('/')}/")
    return Path(name).absolute().is_relative_to(Path(out).absolute())


def _local(given: str) -> Iterator[tuple[str, str, int, str]]:
    path = Path(given)
    if has_magic(given) and not path.exists():
        for match in sorted(glob(given, recursive=True)):  # noqa: PTH207 - pathlib's finds hidden files, too
            yield from _local(match)
    elif path.is_dir():
        for file in sorted(path.rglob("*")):
            below = file.relative_to(path)
            if file.is_file() and not any(part.startswith((".", "_")) for part in below.parts):
                yield _described(file, str(below))
    elif path.is_file():
        yield _described(path, given)
    else:
        raise InputError(f"{given}: no such file or directory")


def _described(file: Path, below: str) -> tuple[str, str, int, str]:
    stat = file.stat()
    return str(file), below, stat.st_size, str(stat.st_mtime_ns)


def _remote(given: str) -> Iterator[tuple[str, str, int, str]]:
    system, path = fsspec_of(given)
    try:
        paths = system.glob(path) if has_magic(given) else [path]
        for root in sorted(paths):
            files = system.find(root, detail=True) if system.isdir(root) else {root: system.info(root)}
            for file, info in sorted(files.items()):
                below = file[len(root) :].lstrip("/") or given
                if below == given or not any(part.startswith((".", "_")) for part in PurePosixPath(below).parts):
                    version = info.get("ETag") or info.get("mtime") or info.get("LastModified") or ""
                    yield system.unstrip_protocol(file), below, int(info["size"] or 0), str(version)
    except FileNotFoundError:
        raise InputError(f"{given}: no such file or directory") from None


def _kind(name: str) -> tuple[str | None, str | None]:
    path = PurePosixPath(name)
    compression = _COMPRESSIONS.get(path.suffix.lower())
    return FORMATS.get(PurePosixPath(path.stem if compression else path.name).suffix.lower()), compression


def _partition(below: str) -> dict[str, str]:
    """The values of Hive's `key=value` folders."""
    pairs = [part.split("=", 1) for part in PurePosixPath(below).parts[:-1] if "=" in part]
    return {key: unquote(value) for key, value in pairs if value != "__HIVE_DEFAULT_PARTITION__"}


@contextmanager
def opened(source: Source) -> Iterator[BinaryIO]:
    """The file's bytes as they were before compression."""
    file: Any
    if is_address(source.name):
        system, path = fsspec_of(source.name)
        file = system.open(path, "rb")
    else:
        file = io.FileIO(source.name)
    with file:
        if source.compression == "gzip":
            with gzip.open(file) as plain:
                yield cast("BinaryIO", plain)
        elif source.compression == "zstd":
            with pa.CompressedInputStream(pa.PythonFile(file), "zstd") as plain:
                yield cast("BinaryIO", plain)
        else:
            yield file


@contextmanager
def on_disk(source: Source) -> Iterator[Path]:
    """A path to the file without compression, for formats that are not read as a stream; a copy where it must be one."""
    if source.compression is None and not is_address(source.name):
        yield Path(source.name)
        return
    with tempfile.TemporaryDirectory(prefix="screening-input-") as folder:
        path = Path(folder) / "input"
        with opened(source) as file, path.open("wb") as copy:
            shutil.copyfileobj(file, copy, 1 << 20)
        yield path
