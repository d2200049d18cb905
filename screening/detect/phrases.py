"""Which sets of literals stand in which turn: one pass of numpy over the joined text of many turns.

Every literal is looked up by one of its n-grams (n up to 4) in a table of 32-bit hashes: a hash may lie, so the answer only
nominates. Where exactly a phrase stands, and whether a pattern matches, is decided afterwards on the few turns that hold
everything a rule needs. (Measured against an automaton that calls back for every hit: docs/benchmarks.md.)
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from screening.normalise import tables

ENGINE = "grams 1"
LONGEST = 4
FEED = "\n"
_MIX = np.uint32(0x9E3779B1)
_FEED_POINT = 10

Points = npt.NDArray[np.uint32]
Indices = npt.NDArray[np.int64]


def gram(literal: str, rarity: dict[str, float]) -> str:
    """The part of a literal that stands for it: its rarest n-gram of the greatest length looked up."""
    if len(literal) <= LONGEST:
        return literal
    windows = [literal[i : i + LONGEST] for i in range(len(literal) - LONGEST + 1)]
    return max(windows, key=lambda w: (sum(rarity.get(w[k : k + 2], 7.0) for k in range(LONGEST - 1)), w))


def smallest(grams: Iterable[str]) -> frozenset[str]:
    """The grams without those that contain another one of them: the shorter stands wherever the longer does."""
    kept: set[str] = set()
    for text in sorted(set(grams), key=len):
        if not any(text[i:j] in kept for i in range(len(text)) for j in range(i + 1, len(text) + 1)):
            kept.add(text)
    return frozenset(kept)


class _Table:
    """Grams of one length by hash: `head[slot]` is the first of the slot's grams (from 1), the others follow it."""

    def __init__(self, size: int, grams: Sequence[str], owners: Sequence[Sequence[int]]):
        self.size = size
        keys = _hashes(np.stack([tables.points(g) for g in grams]).T, size) if grams else np.zeros(0, np.uint32)
        self._shift = np.uint32(32 - max(8, (len(grams) * 12).bit_length()))
        slots = (keys * _MIX) >> self._shift
        order = np.argsort(slots, kind="stable")
        slots = slots[order]
        self._head = np.zeros(1 << (32 - int(self._shift)), dtype=np.int32)
        first = np.flatnonzero(np.r_[True, slots[1:] != slots[:-1]]) if grams else order
        self._head[slots[first]] = first + 1
        self._keys = np.r_[np.uint32(0), keys[order]].astype(np.uint32)
        self._more = np.r_[False, slots[1:] == slots[:-1], False] if grams else np.zeros(1, bool)
        chosen = [owners[k] for k in order.tolist()]
        self._counts = np.array([0, *map(len, chosen)], dtype=np.int64)
        self._starts = np.cumsum(self._counts) - self._counts
        self._owners = np.array(list(chain.from_iterable(chosen)), dtype=np.int64)

    def find(self, hashes: Points) -> tuple[Indices, Indices]:
        """(places, owners) of all grams in a text given by its running hashes; one entry for each owner."""
        candidates = self._head[(hashes * _MIX) >> self._shift]
        at = np.flatnonzero(candidates)
        ids = candidates[at]
        places: list[Indices] = []
        found: list[npt.NDArray[np.int32]] = []
        while at.size:
            equal = self._keys[ids] == hashes[at]
            places.append(at[equal])
            found.append(ids[equal])
            again = self._more[ids]
            at, ids = at[again], ids[again] + 1
        if not places:
            return at, at
        hits, where = np.concatenate(found), np.concatenate(places)
        counts = self._counts[hits]
        ends = np.cumsum(counts)
        if not ends.size:
            return where, where
        picks = np.arange(ends[-1]) + np.repeat(self._starts[hits] - (ends - counts), counts)
        return np.repeat(where, counts), self._owners[picks]


def _hashes(columns: Sequence[Points] | Points, size: int) -> Points:
    value = columns[0]
    for k in range(1, size):
        value = value * _MIX + columns[k]
    return value


class Rows:
    """Per set of literals a row of bits, one for each turn; rows are cut out when somebody asks."""

    __slots__ = ("_data", "_width", "touched")

    def __init__(self, data: bytes, width: int, touched: list[int]):
        self._data = data
        self._width = width
        self.touched = touched

    def __getitem__(self, number: int) -> int:
        at = number * self._width
        return int.from_bytes(self._data[at : at + self._width], "little")


class SetIndex:
    """Finds sets of literals (`FEED` stands for a turn's edge) in turns; numbers are positions in `sets`."""

    def __init__(self, sets: Sequence[frozenset[str]]):
        owners: dict[str, list[int]] = {}
        for number, grams in enumerate(sets):
            for text in grams:
                owners.setdefault(text, []).append(number)
        self._count = len(sets)
        self._tables = []
        for size in range(1, LONGEST + 1):
            grams = sorted(text for text in owners if len(text) == size)
            if grams:
                self._tables.append(_Table(size, grams, [owners[g] for g in grams]))

    def scan(self, points: Points, turns: int) -> Rows | None:
        """The rows for `turns` turns, each followed by a line feed, with one line feed before the first; None: nothing."""
        feeds = np.flatnonzero(points == _FEED_POINT)
        turn_of = np.repeat(np.arange(turns), np.diff(feeds))
        places: list[Any] = []
        owners: list[Any] = []
        hashes, size = points, 1
        for table in self._tables:
            while size < table.size:
                hashes = hashes[:-1] * _MIX + points[size:]
                size += 1
            where, who = table.find(hashes[: turn_of.size])
            places.append(where)
            owners.append(who)
        if not owners:
            return None
        owner, turn = np.concatenate(owners), turn_of[np.concatenate(places)]
        if not owner.size:
            return None
        width = (turns + 7) // 8
        bits = np.zeros((self._count, width * 8), dtype=bool)
        bits[owner, turn] = True
        touched = np.zeros(self._count, dtype=bool)
        touched[owner] = True
        data = np.packbits(bits, axis=1, bitorder="little").tobytes()
        return Rows(data, width, np.flatnonzero(touched).tolist())


def places(bits: int, offset: int = 0) -> list[int]:
    """The numbers of the bits that are set, plus an offset."""
    found = []
    while bits:
        low = bits & -bits
        found.append(offset + low.bit_length() - 1)
        bits ^= low
    return found


def joined_points(joined: str) -> Points:
    """The code points of turns that each end in a line feed, with a line feed before the first."""
    return tables.points(FEED + joined)


class Automaton:
    """Finds every literal in a joined text of turns separated by line feeds; ids are positions in `literals`."""

    def __init__(self, literals: Sequence[str]):
        if any(not literal or FEED in literal for literal in literals):
            raise ValueError("a literal is empty or holds a line feed")
        self._literals = literals
        self._index = SetIndex([frozenset({gram(literal, tables.talk_surprisal())}) for literal in literals])

    def scan(self, joined: str) -> dict[int, set[int]]:
        """For each turn (number of line feeds before it) that holds a literal: the ids of its literals."""
        turns = joined.split(FEED)[:-1]
        rows = self._index.scan(joined_points(joined), len(turns))
        hits: dict[int, set[int]] = {}
        for number in rows.touched if rows else ():
            for turn in places(rows[number]) if rows else ():
                if self._literals[number] in turns[turn]:
                    hits.setdefault(turn, set()).add(number)
        return hits
