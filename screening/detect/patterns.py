"""Slot patterns: RE2 (linear time, no backtracking) decides, one literal out of the pattern nominates the turn."""

import re
from collections.abc import Mapping
from importlib.metadata import version
from math import log2
from typing import Any

import re2

from lexicons import pattern as language
from screening.normalise import tables

ENGINE = f"re2 {version('google-re2')}"
_UNSEEN = 7.0
_RARE_ENOUGH = 7.0
_SET_LIMIT = 64
_DOUBLING = 0.3


class SlotPattern:
    """A pattern, compiled when it is first asked: most wait behind a nomination that never comes."""

    __slots__ = ("_compiled", "_pattern", "_second", "_sets")

    def __init__(self, pattern: str, sets: Mapping[str, tuple[str, ...]]):
        self._pattern = pattern
        self._sets = sets
        self._compiled: Any = None
        self._second: re.Pattern[str] | None = None

    @property
    def _regex(self) -> Any:
        if self._compiled is None:
            options = re2.Options()
            options.never_capture = True
            options.log_errors = False
            self._compiled = re2.compile(language.expand_sets(self._pattern, self._sets), options)
            self._second = self._second_literals()
        return self._compiled

    def _choices(self) -> list[frozenset[str]]:
        return sorted(set(language.parse(self._pattern, self._sets).triggers(_SET_LIMIT, _rank)), key=_rank, reverse=True)

    def _second_literals(self) -> re.Pattern[str]:
        """The rarest literals, besides the triggers, of which a match holds one: a cheap look before the pattern itself."""
        second = self._choices()[1:2] or [frozenset({""})]
        return re.compile("|".join(map(re.escape, sorted(second[0]))))

    def triggers(self) -> frozenset[str]:
        """Literals of which every match holds at least one: the rarest such set, of those the smallest."""
        choices = self._choices()
        if not choices:
            raise language.PatternError(f"pattern {self._pattern!r} holds no fixed part to look for; name at least one word")
        return choices[0]

    def spans(self, clean: str) -> list[tuple[int, int]]:
        """Half-open spans of all matches, left to right, not overlapping."""
        regex = self._regex
        if self._second is None or self._second.search(clean) is None:
            return []
        data = clean.encode()
        found = [match.span() for match in regex.finditer(data)]
        if not found or len(data) == len(clean):
            return found
        return [(len(data[:start].decode()), len(data[:end].decode())) for start, end in found]

    def found(self, clean: str) -> bool:
        """Whether the pattern matches anywhere."""
        regex = self._regex
        return self._second is not None and self._second.search(clean) is not None and regex.search(clean.encode()) is not None


def _rank(literals: frozenset[str]) -> tuple[float, list[str]]:
    """Rare is good, few is good: doubling a set must make it rarer by `_DOUBLING`."""
    return min(_RARE_ENOUGH, _rarity(literals)) - _DOUBLING * log2(len(literals)), sorted(literals)


def _rarity(literals: frozenset[str]) -> float:
    """How rare the commonest of the literals is in service talk: of a literal, its rarest character or pair counts."""
    return min(map(literal_rarity, literals))


def literal_rarity(literal: str) -> float:
    """A lower bound of -ln(share of turns that hold the literal), as far as the sample archive tells."""
    seen = tables.talk_surprisal()
    pairs = [literal[i : i + 2] for i in range(len(literal) - 1)] or [literal]
    return max(seen.get(pair, _UNSEEN) for pair in pairs)
