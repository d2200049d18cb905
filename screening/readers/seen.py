"""Which ids were seen, in eight bytes an id, so that a file of any length can be checked for doubles."""

from collections.abc import Iterable, Iterator
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from screening.readers.records import Refused
from screening.types import Conversation

_FRESH = 65536


class SeenIds:
    """A growing set of strings by 64-bit digest (the chance of a false double among ten million ids is 3 in a million)."""

    def __init__(self) -> None:
        self._fresh: set[int] = set()
        self._sorted: list[npt.NDArray[np.uint64]] = []

    def add(self, name: str) -> bool:
        """Remember an id; False when it was there already."""
        digest = int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
        if digest in self._fresh or any(_holds(block, digest) for block in self._sorted):
            return False
        self._fresh.add(digest)
        if len(self._fresh) >= _FRESH:
            self._flush()
        return True

    def _flush(self) -> None:
        block = np.fromiter(self._fresh, dtype=np.uint64, count=len(self._fresh))
        block.sort()
        self._fresh.clear()
        while self._sorted and self._sorted[-1].size <= block.size:
            block = np.concatenate((self._sorted.pop(), block))
            block.sort()
        self._sorted.append(block)


def _holds(block: npt.NDArray[np.uint64], digest: int) -> bool:
    at = int(np.searchsorted(block, np.uint64(digest)))
    return at < block.size and int(block[at]) == digest


def double(name: str, row: int, conversation: str) -> Refused:
    """The refusal of a conversation whose id was seen before."""
    return Refused(
        name, row, f"id {conversation!r} stands already in an earlier conversation; ids are unique in a file", conversation
    )


def without_doubles(items: Iterable[Conversation | Refused], name: str) -> Iterator[Conversation | Refused]:
    """Refuse every conversation whose id was seen before; `row` then counts conversations."""
    seen = SeenIds()
    for count, item in enumerate(items, 1):
        known = isinstance(item, Conversation) and not seen.add(item.id)
        yield double(f"{name} (conversation {count})", count, item.id) if known and isinstance(item, Conversation) else item
