"""Results that take seconds to make and depend on files alone, kept in a private folder under the digest of these files.

What is kept can always be made again: an unreadable, foreign or missing entry is built anew, and a folder that cannot be
written only costs time. Entries are pickles, so they are read only from a folder and a file that belong to the user himself.
"""

import gc
import hashlib
import os
import pickle
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

_T = TypeVar("_T")
_KEPT = 8


def cache_folder() -> Path:
    """The private folder for what can be made again (`SCREENING_CACHE`, else the user's cache folder)."""
    base = os.environ.get("SCREENING_CACHE")
    if base:
        return Path(base)
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/conversation-screening"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "conversation-screening"


def digest(parts: Iterable[bytes]) -> str:
    """A digest of byte strings, each counted with its length, and of the running Python."""
    total = hashlib.sha256(sys.version.encode())
    for part in parts:
        total.update(len(part).to_bytes(8, "big"))
        total.update(part)
    return total.hexdigest()[:32]


def code(*folders: Path) -> list[bytes]:
    """The source files of folders, for a digest: other code makes other results."""
    return [path.read_bytes() for folder in folders for path in sorted(folder.rglob("*.py"))]


def kept(kind: str, key: str, make: Callable[[], _T]) -> _T:
    """The result under `key`, made by `make` when it is not kept yet. The oldest entries of a kind are dropped."""
    path = cache_folder() / f"{kind}-{key}.pickle"
    try:
        if _private(path.parent) and _private(path):
            found: _T = _load(path)
            return found
    except (OSError, pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError):
        pass
    made = make()
    _write(path, made)
    return made


def _load(path: Path) -> Any:
    # Reading makes many objects that all stay: collecting in between only costs time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        with path.open("rb") as file:
            return pickle.load(file)  # ours alone: see _private
    finally:
        if collecting:
            gc.enable()


def _private(path: Path) -> bool:
    status = path.stat()
    return not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o022)


def _write(path: Path, made: object) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            pickle.dump(made, file, protocol=pickle.HIGHEST_PROTOCOL)
        Path(file.name).replace(path)
        kind = path.name.rpartition("-")[0]
        old = sorted(path.parent.glob(f"{kind}-*.pickle"), key=lambda p: p.stat().st_mtime, reverse=True)[_KEPT:]
        for entry in old:
            entry.unlink(missing_ok=True)
    except OSError:
        return  # no place to keep it: it is made again next time
