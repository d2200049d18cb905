"""What entries need to stand in a turn, as programs over rows of bits: one bit for each turn, one row for each set of literals.

Of all that a pattern's matches must hold only the telling sets are asked: a set that stands in every third turn anyway
costs more than it saves. Leaving sets out, or parts of literals, nominates more and is always safe.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from math import exp
from typing import TypeAlias

from lexicons.pattern import EDGE, Either, Need
from screening.detect.phrases import Points, SetIndex, gram, smallest
from screening.normalise import tables

_UNSEEN = 8.0
_EDGE_RARITY = 1.5  # of the turns that hold a word, about so few (-ln) begin or end with it
_TELLING = 0.2
_CONTENT = tables.HAN | tables.LATIN | tables.DIGIT
_LAST_LATIN = "\u024f"

Spelling: TypeAlias = Callable[[frozenset[str]], frozenset[str] | None]
Step: TypeAlias = "int | tuple[bool, tuple[Step, ...]]"
"""The number of a set, or (True, all of these) or (False, any of these)."""


def rarity(literal: str) -> float:
    """About -ln(share of turns that hold a literal), as far as the sample archive tells."""
    seen = tables.talk_surprisal()
    bare = literal.strip(EDGE)
    pairs = [bare[i : i + 2] for i in range(len(bare) - 1)] or [bare]
    return max(seen.get(pair, _UNSEEN) for pair in pairs) + _EDGE_RARITY * (len(literal) - len(bare))


def as_written(literals: frozenset[str]) -> frozenset[str]:
    """The grams that stand for a set of literals in the clean view."""
    seen = tables.talk_surprisal()
    return smallest(gram(literal, seen) for literal in literals)


def as_compacted(literals: frozenset[str]) -> frozenset[str] | None:
    """The grams that stand for a set of literals in a compacted text; None where a literal is nothing but separators."""
    bare = {_without_separators(literal) for literal in literals}
    return None if any(not literal.strip(EDGE) for literal in bare) else as_written(frozenset(bare))


def _without_separators(literal: str) -> str:
    kept: list[str] = []
    for char in literal:
        if char != EDGE and not tables.CLASS[ord(char)] & _CONTENT:
            continue
        if not kept or kept[-1] != char or char <= _LAST_LATIN:
            kept.append(char)
    return "".join(kept)


class Needs:
    """The needs of many entries, and the entries of which a turn holds all that is needed."""

    def __init__(self) -> None:
        self._sets: dict[frozenset[str], int] = {}
        self._steps: dict[int, Step] = {}
        self._heads: list[tuple[int, ...]] = []
        self._index = SetIndex(())

    def __bool__(self) -> bool:
        return bool(self._steps)

    def add(self, entry: int, need: Need, spelling: Spelling) -> None:
        """One more entry; where the spelling leaves nothing of its need, it is never nominated."""
        step = self._step(need, spelling)
        if step is not None:
            self._steps[entry] = step[0]

    def _step(self, need: Need, spelling: Spelling) -> tuple[Step, float] | None:
        if isinstance(need, frozenset):
            literals = spelling(need)
            if literals is None:
                return None
            return self._number(literals), sum(exp(-rarity(literal)) for literal in literals)
        steps = [self._step(part, spelling) for part in need.parts]
        if isinstance(need, Either):
            known = [step for step in steps if step is not None]
            if len(known) < len(steps):
                return None
            return (False, tuple(step for step, _ in known)), sum(share for _, share in known)
        ranked = sorted((step for step in steps if step is not None), key=lambda s: s[1])
        told = ranked[:1] + [step for step in ranked[1:] if step[1] < _TELLING]
        if len(told) < 2:
            return told[0] if told else None
        return (True, tuple(step for step, _ in told)), told[0][1]

    def _number(self, literals: frozenset[str]) -> int:
        return self._sets.setdefault(literals, len(self._sets))

    def close(self) -> None:
        """Build the index; no entry may be added any more."""
        used = sorted({number for step in self._steps.values() for number in _numbers(step)})
        texts = list(self._sets)
        again = {number: k for k, number in enumerate(used)}
        self._steps = {entry: _renumbered(step, again) for entry, step in self._steps.items()}
        heads: list[list[int]] = [[] for _ in used]
        for entry, step in self._steps.items():
            for number in set(_first(step)):
                heads[number].append(entry)
        self._heads = [tuple(entries) for entries in heads]
        self._index = SetIndex([texts[number] for number in used])
        self._sets = {}

    def nominate(self, points: Points, turns: int) -> dict[int, int]:
        """Per entry the turns (bits) that hold all it needs; see `SetIndex.scan`."""
        rows = self._index.scan(points, turns)
        heads, steps = self._heads, self._steps
        asked = set(chain.from_iterable([heads[number] for number in rows]))
        found = {}
        for entry in asked:
            bits = _bits(steps[entry], rows)
            if bits:
                found[entry] = bits
        return found


def _bits(step: Step, rows: dict[int, int]) -> int:
    if isinstance(step, int):
        return rows.get(step, 0)
    every, parts = step
    if every:
        bits = -1
        for part in parts:
            bits &= rows.get(part, 0) if isinstance(part, int) else _bits(part, rows)
            if not bits:
                break
        return bits
    bits = 0
    for part in parts:
        bits |= rows.get(part, 0) if isinstance(part, int) else _bits(part, rows)
    return bits


def _numbers(step: Step) -> Sequence[int]:
    return [step] if isinstance(step, int) else [number for part in step[1] for number in _numbers(part)]


def _first(step: Step) -> Sequence[int]:
    """Sets of which one must stand in a turn before the step can hold."""
    if isinstance(step, int):
        return [step]
    every, parts = step
    return _first(parts[0]) if every else [number for part in parts for number in _first(part)]


def _renumbered(step: Step, again: dict[int, int]) -> Step:
    if isinstance(step, int):
        return again[step]
    return step[0], tuple(_renumbered(part, again) for part in step[1])
