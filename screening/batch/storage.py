"""A folder that a run writes to: on this machine's disks, or behind any fsspec address (s3://, oss://, hdfs://)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs

from screening.errors import InputError

COMMIT = ".unfinished"


def is_address(name: str) -> bool:
    """Whether a name is an fsspec address and no path of this machine."""
    return "://" in name


def fsspec_of(address: str) -> tuple[Any, str]:
    """(fsspec's file system, the path in it); raises `InputError`."""
    try:
        import fsspec  # noqa: PLC0415 - an extra; most archives lie on a disk
    except ImportError:
        raise InputError(f"{address}: addresses need the extra: pip install 'conversation-screening[ray]'") from None
    try:
        system, path = fsspec.core.url_to_fs(address)
    except (ValueError, ImportError) as error:
        raise InputError(f"{address}: {error}") from None
    return system, path


class Folder:
    """Files by their names below one root. A written file appears whole or not at all; writing it again replaces it."""

    def __init__(self, root: str):
        self.root = root
        self.is_local = not is_address(root)
        if self.is_local:
            self.system: Any = pyarrow.fs.LocalFileSystem()
            self._root = str(Path(root).absolute())
        else:
            system, self._root = fsspec_of(root)
            self.system = pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(system))

    def path(self, name: str) -> str:
        """The path of a name in `system`."""
        return f"{self._root}/{name}" if name else self._root

    def exists(self, name: str = "") -> bool:
        """Whether there is a file or folder of this name."""
        return bool(self.system.get_file_info(self.path(name)).type != pyarrow.fs.FileType.NotFound)

    def names(self, below: str = "") -> list[str]:
        """The names of what lies directly in a folder, sorted; empty where there is none."""
        selector = pyarrow.fs.FileSelector(self.path(below), allow_not_found=True)
        return sorted(info.base_name for info in self.system.get_file_info(selector))

    def read(self, name: str) -> bytes:
        """A small file's bytes; raises `FileNotFoundError`."""
        with self.system.open_input_file(self.path(name)) as file:
            return bytes(file.read())

    def open(self, name: str) -> Any:
        """A file to read Arrow data from: mapped where it lies on a disk, so that what is not looked at costs nothing."""
        return pa.memory_map(self.path(name)) if self.is_local else self.system.open_input_file(self.path(name))

    @contextmanager
    def sink(self, name: str) -> Iterator[Any]:
        """Write a file; it appears under its name when all of it is written."""
        path = self.path(name)
        self.system.create_dir(path.rpartition("/")[0], recursive=True)
        if not self.is_local:  # an object appears whole when its upload ends
            with self.system.open_output_stream(path) as file:
                yield file
            return
        unfinished = f"{path}.{os.getpid()}{COMMIT}"
        try:
            with pa.OSFile(unfinished, "wb") as file:
                yield file
            Path(unfinished).replace(path)
        except BaseException:
            Path(unfinished).unlink(missing_ok=True)
            raise

    def write(self, name: str, data: bytes) -> None:
        """Write a small file; on a disk it is there even after a loss of power."""
        with self.sink(name) as file:
            file.write(data)
        if self.is_local:
            for path, flags in ((self.path(name), os.O_RDONLY), (self.path(name).rpartition("/")[0], os.O_RDONLY)):
                number = os.open(path, flags)
                os.fsync(number)
                os.close(number)

    def remove(self, name: str) -> None:
        """Remove a folder and all below it, where it exists."""
        if self.exists(name):
            self.system.delete_dir(self.path(name))
