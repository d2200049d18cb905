"""Slot patterns: RE2 (linear time, no backtracking) decides; what every match must hold nominates the turn.

Many texts are searched in one call, joined by line feeds: a call costs more than the search of a turn (docs/benchmarks.md). No
clean text holds a line feed, and no pattern matches one.
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import re2

from lexicons import pattern as language

ENGINE = f"re2 {version('google-re2')}"
_SET_LIMIT = 64


class SlotPattern:
    """A pattern, compiled when it is first asked: most wait behind a nomination that never comes."""

    __slots__ = ("_compiled", "_pattern", "_sets")

    def __init__(self, pattern: str, sets: Mapping[str, tuple[str, ...]]):
        self._pattern = pattern
        self._sets = sets
        self._compiled: Any = None

    @property
    def _regex(self) -> Any:
        if self._compiled is None:
            options = re2.Options()
            options.never_capture = True
            options.log_errors = False
            expanded = language.within_lines(language.expand_sets(self._pattern, self._sets))
            self._compiled = re2.compile(f"(?m){expanded}", options)
        return self._compiled

    def compile(self) -> None:
        """Compile it now instead of when it is first asked."""
        _ = self._regex

    def triggers(self) -> language.Need:
        """What every match must hold."""
        need = language.parse(self._pattern, self._sets).need(_SET_LIMIT)
        if need is None:
            raise language.PatternError(f"pattern {self._pattern!r} holds no fixed part to look for; name at least one word")
        return need

    def spans(self, clean: str) -> list[tuple[int, int]]:
        """Half-open spans of all matches, left to right, not overlapping."""
        return [(start, end) for _, start, end in self.located((clean,))]

    def located(self, texts: Sequence[str]) -> list[tuple[int, int, int]]:
        """(position in `texts`, start, end) of all matches, in order; the texts hold no line feed."""
        data = "\n".join(texts).encode()
        found = []
        number = counted = 0
        for match in self._regex.finditer(data):
            start, end = match.span()
            number += data.count(b"\n", counted, start)
            counted = start
            line = data.rfind(b"\n", 0, start) + 1
            first = len(data[line:start].decode())
            found.append((number, first, first + len(data[start:end].decode())))
        return found

    def found(self, clean: str) -> bool:
        """Whether the pattern matches anywhere."""
        return self._regex.search(clean.encode()) is not None
