"""Which sets of literals stand in which turn: one pass of numpy over the joined text of many turns.

Every literal is looked up by one of its n-grams (n up to 4) in a table of 32-bit hashes: a hash may lie, so the answer only
nominates. Where exactly a phrase stands, and whether a pattern matches, is decided afterwards on the few turns that hold
everything a rule needs. (Measured against an automaton that calls back for every hit: docs/benchmarks.md.)
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from operator import add

import numpy as np
import numpy.typing as npt

from screening.normalise import tables

ENGINE = "grams 1"
LONGEST = 4
FEED = "\n"
_MIX = np.uint32(0x9E3779B1)
_FEED_POINT = 10
_SHORT = 400  # code points; measured
_FEW = 8  # short texts for which the dictionaries of a short scan are not worth making

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


def _hashes(columns: Points, size: int) -> Points:
    value: Points = columns[0]
    for k in range(1, size):
        value = value * _MIX + columns[k]
    return value


class _Table:
    """Grams of one length by hash: `head[slot]` is the first of the slot's grams (from 1), the others follow it."""

    def __init__(self, size: int, grams: Sequence[str]):
        self.size = size
        keys = _hashes(np.stack([tables.points(g) for g in grams]).T, size)
        self._shift = np.uint32(32 - max(8, (len(grams) * 12).bit_length()))
        slots = (keys * _MIX) >> self._shift
        order = np.argsort(slots, kind="stable")
        slots = slots[order]
        same = slots[1:] == slots[:-1]
        first = np.flatnonzero(np.r_[True, ~same])
        self.count = len(grams)
        self.text = "".join([grams[k] for k in order.tolist()])
        """The grams in the order of their numbers, one after the other."""
        self._head = np.zeros(1 << (32 - int(self._shift)), dtype=np.int32)
        self._head[slots[first]] = first + 1
        self._keys = np.r_[np.uint32(0), keys[order]].astype(np.uint32)
        self._more = np.r_[False, same, False]

    def find(self, hashes: Points) -> list[tuple[Indices, Indices]]:
        """(places, grams) of all grams in a text given by its running hashes."""
        candidates = self._head[(hashes * _MIX) >> self._shift]
        at = np.flatnonzero(candidates != 0)
        ids = candidates[at]
        found = []
        while at.size:
            equal = self._keys[ids] == hashes[at]
            found.append((at[equal], ids[equal] - 1))
            again = self._more[ids]
            at, ids = at[again], ids[again] + 1
        return found


class SetIndex:
    """Finds sets of literals (`FEED` stands for a turn's edge) in turns; numbers are positions in `sets`."""

    def __init__(self, sets: Sequence[frozenset[str]]):
        owners: dict[str, list[int]] = {}
        for number, grams in enumerate(sets):
            for text in grams:
                owners.setdefault(text, []).append(number)
        self._by_size: dict[int, dict[str, tuple[int, ...]]] | None = None
        self._short_scans = 0
        self._tables: list[_Table] = []
        found: list[tuple[int, ...]] = []
        for size in range(1, LONGEST + 1):
            sized = sorted(text for text in owners if len(text) == size)
            if sized:
                table = _Table(size, sized)
                self._tables.append(table)
                found += [tuple(owners[table.text[k : k + size]]) for k in range(0, len(table.text), size)]
        self._starts = np.cumsum([0, *map(len, found)])
        self._owners = np.fromiter(chain.from_iterable(found), dtype=np.int32)
        """The sets of gram `k` are `_owners[_starts[k]:_starts[k + 1]]`."""

    def scan(self, points: Points, turns: int) -> dict[int, int]:
        """Per set of which a literal stands anywhere: the turns that hold one, as bits of a number.

        `points` are `turns` turns, each followed by a line feed, with one line feed before the first.
        """
        if points.size < _SHORT:
            self._short_scans += 1
            if self._short_scans > _FEW:
                return self._scan_short(points)
        feeds = np.flatnonzero(points == _FEED_POINT)
        turn_of = np.repeat(np.arange(turns), np.diff(feeds))
        where: list[Indices] = []
        which: list[Indices] = []
        hashes, size, offset = points, 1, 0
        for table in self._tables:
            while size < table.size:
                hashes = hashes[:-1] * _MIX + points[size:]
                size += 1
            for at, found in table.find(hashes[: turn_of.size]):
                where.append(at)
                which.append(found + offset)
            offset += table.count
        grams = np.concatenate(which) if which else np.zeros(0, dtype=np.intp)
        return self._rows(grams, turn_of[np.concatenate(where)], turns) if grams.size else {}

    def _rows(self, grams: Indices, turn: Indices, turns: int) -> dict[int, int]:
        """The sets whose grams were found, each with the turns as bits."""
        touched = np.zeros(self._starts.size - 1, dtype=bool)
        touched[grams] = True
        seen = np.flatnonzero(touched)
        row_of = np.empty(touched.size, dtype=np.intp)
        row_of[seen] = np.arange(seen.size)
        width = (turns + 63) // 64 * 8
        bits = np.zeros((seen.size, width * 8), dtype=bool)
        bits[row_of[grams], turn] = True
        packed = np.packbits(bits, axis=1, bitorder="little").view(np.uint64)  # eight bytes at once are joined faster
        counts = self._starts[seen + 1] - self._starts[seen]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        owned = self._owners[np.repeat(self._starts[seen], counts) + within]
        order = np.argsort(owned, kind="stable")
        owned = owned[order]
        first = np.flatnonzero(np.r_[True, owned[1:] != owned[:-1]])
        joined = np.bitwise_or.reduceat(packed[np.repeat(np.arange(seen.size), counts)[order]], first, axis=0).tobytes()
        return {
            number: int.from_bytes(joined[k * width : (k + 1) * width], "little")
            for k, number in enumerate(owned[first].tolist())
        }

    def _scan_short(self, points: Points) -> dict[int, int]:
        """`scan` for a turn or a few, where the overhead of array operations would outweigh the work."""
        rows: dict[int, int] = {}
        by_size = self._owners_by_gram()
        for turn, text in enumerate(points.tobytes().decode("utf-32-le").split(FEED)[1:-1]):
            edged = FEED + text + FEED
            held: set[int] = set()
            windows = list(edged)
            for size in range(1, LONGEST + 1):
                grams = by_size.get(size)
                if grams:
                    held.update(*map(grams.__getitem__, grams.keys() & windows))
                windows = list(map(add, windows, edged[size:]))
            for number in held if rows else ():
                rows[number] = rows.get(number, 0) | 1 << turn
            rows = rows or dict.fromkeys(held, 1 << turn)
        return rows

    def _owners_by_gram(self) -> dict[int, dict[str, tuple[int, ...]]]:
        """Per size: gram to the sets that hold it. Made at first need: a file read in batches never asks."""
        if self._by_size is None:
            starts, owners = self._starts.tolist(), self._owners.tolist()
            made: dict[int, dict[str, tuple[int, ...]]] = {}
            first = 0
            for table in self._tables:
                texts = [table.text[k : k + table.size] for k in range(0, len(table.text), table.size)]
                made[table.size] = {
                    text: tuple(owners[starts[first + k] : starts[first + k + 1]]) for k, text in enumerate(texts)
                }
                first += table.count
            self._by_size = made  # whole at once: another thread may ask meanwhile
        return self._by_size


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
        for number, row in rows.items():
            for turn in places(row):
                if self._literals[number] in turns[turn]:
                    hits.setdefault(turn, set()).add(number)
        return hits
