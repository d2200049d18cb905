"""Uploads on disk until they are cut into blocks: frames packed like every stored text, so encrypted where the store is."""

import os
import secrets
import struct
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from sqlalchemy import make_url

from api.settings import Settings
from api.store.bodies import Bodies
from screening.errors import InputError

FRAME = 1 << 20
_LENGTH = struct.Struct(">I")
_UNFINISHED = ".part"
_NAME_BYTES = 16


def folder(settings: Settings) -> Path:
    """Where uploads lie: the setting, else beside the SQLite file, else `screening-spool` in the working folder."""
    if settings.spool is not None:
        return settings.spool
    url = make_url(settings.database)
    if url.get_backend_name() == "sqlite" and url.database:
        return Path(url.database + "-spool")
    return Path("screening-spool")


class Upload:
    """An upload that is coming in. It exists under `name` once `finish` returned; until then nobody sees it."""

    def __init__(self, place: Path, bodies: Bodies):
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.name = secrets.token_hex(_NAME_BYTES)
        self.size = 0
        self._bodies = bodies
        self._path = place / self.name
        self._unfinished = place / (self.name + _UNFINISHED)
        self._file = self._unfinished.open("xb")

    def write(self, data: bytes) -> None:
        """Add bytes, best some `FRAME` of them."""
        packed = self._bodies.pack(data)
        self._file.write(_LENGTH.pack(len(packed)) + packed)
        self.size += len(data)

    def finish(self) -> None:
        """Make it lasting: after this it outlives a loss of power."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._unfinished.rename(self._path)
        descriptor = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def discard(self) -> None:
        """Take it away, finished or not."""
        with suppress(OSError):  # closing writes what is buffered; on a full disk that fails once more
            self._file.close()
        self._unfinished.unlink(missing_ok=True)
        self._path.unlink(missing_ok=True)


@contextmanager
def opened(place: Path, name: str, bodies: Bodies) -> Iterator[Path]:
    """A path under which the plain bytes can be read as long as the block lasts.

    The file has no name in any folder: nothing of it is left where the process is killed. Raises `InputError` where it is gone.
    """
    with tempfile.TemporaryFile(dir=place if place.is_dir() else None) as plain:
        try:
            with (place / name).open("rb") as packed:
                for frame in _frames(packed):
                    plain.write(bodies.unpack(frame))
        except FileNotFoundError:
            raise InputError("the uploaded file is gone from the spool folder; send it again") from None
        plain.flush()
        plain.seek(0)
        yield Path(f"/dev/fd/{plain.fileno()}")


def _frames(packed: BinaryIO) -> Iterator[bytes]:
    while head := packed.read(_LENGTH.size):
        (length,) = cast("tuple[int]", _LENGTH.unpack(head))
        yield packed.read(length)


def is_name(name: str) -> bool:
    """Whether an upload can be called so; nothing else becomes part of a path."""
    return len(name) == 2 * _NAME_BYTES and not set(name) - set("0123456789abcdef")


def claim(place: Path, name: str) -> str:
    """Take a finished upload for oneself under a new name; raises `FileNotFoundError` where another was faster or it is gone."""
    new = secrets.token_hex(_NAME_BYTES)
    rename(place, name, new)
    (place / new).touch()
    return new


def rename(place: Path, name: str, new: str) -> None:
    """Call a finished upload otherwise."""
    (place / name).rename(place / new)


def remove(place: Path, name: str) -> None:
    """Take a finished upload away."""
    (place / name).unlink(missing_ok=True)


def sweep(place: Path, keep: Iterable[str], before: int) -> list[str]:
    """Take away what crashes left: files not touched since `before` (microseconds) that no job in `keep` names."""
    wanted = set(keep)
    gone = []
    for path in place.glob("*") if place.is_dir() else ():
        try:
            old = path.stat().st_mtime_ns // 1000 < before
        except FileNotFoundError:
            continue
        if old and path.name not in wanted:
            path.unlink(missing_ok=True)
            gone.append(path.name)
    return gone
