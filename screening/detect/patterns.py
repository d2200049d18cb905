"""Slot patterns: RE2 (linear time, no backtracking) decides, one literal out of the pattern nominates the turn."""

from collections.abc import Mapping
from importlib.metadata import version

import re2

from lexicons import pattern as language
from screening.normalise import tables

ENGINE = f"re2 {version('google-re2')}"
_RARE = 10.0
_SET_LIMIT = 400


class SlotPattern:
    """A compiled pattern. `triggers`: every match holds at least one of these literals."""

    __slots__ = ("_regex", "triggers")

    def __init__(self, pattern: str, sets: Mapping[str, tuple[str, ...]]):
        expanded = language.expand_sets(pattern, sets)
        options = re2.Options()
        options.never_capture = True
        options.log_errors = False
        self._regex = re2.compile(expanded, options)
        choices = language.literals(language.parse(expanded), _SET_LIMIT)
        if not choices:
            raise language.PatternError(f"pattern {pattern!r} holds no fixed part to look for; name at least one word")
        self.triggers = max(choices, key=lambda literals: (_rarity(literals), -len(literals), sorted(literals)))

    def spans(self, clean: str) -> list[tuple[int, int]]:
        """Half-open spans of all matches, left to right, not overlapping."""
        data = clean.encode()
        found = [match.span() for match in self._regex.finditer(data)]
        if not found or len(data) == len(clean):
            return found
        return [(len(data[:start].decode()), len(data[:end].decode())) for start, end in found]

    def found(self, clean: str) -> bool:
        """Whether the pattern matches anywhere."""
        return self._regex.search(clean.encode()) is not None


def _rarity(literals: frozenset[str]) -> float:
    surprisal = tables.surprisal()
    return min(sum(surprisal.get(char, _RARE) for char in literal) for literal in literals)
