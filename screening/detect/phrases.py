"""One automaton over all literals of the lexicon: which literals stand in which turn, in one pass over many turns.

Hyperscan's literal matcher does the pass (measured: docs/benchmarks.md). Its answer only nominates: where exactly a
phrase stands, and whether a pattern matches, is decided afterwards on the few turns that hold anything.
"""

import threading
from bisect import bisect_left
from collections.abc import Sequence
from importlib.metadata import version

import hyperscan
import numpy as np

_LINE_FEED = 10


class Automaton:
    """Finds every literal in a joined text of turns separated by line feeds; ids are positions in `literals`."""

    def __init__(self, literals: Sequence[str]):
        if any(not literal or "\n" in literal for literal in literals):
            raise ValueError("a literal is empty or holds a line feed")
        self._database = None
        if literals:
            self._database = hyperscan.Database()
            self._database.compile(
                expressions=[literal.encode() for literal in literals],
                ids=list(range(len(literals))),
                elements=len(literals),
                flags=0,
                literal=True,
            )
            self._local = threading.local()

    def scan(self, joined: str) -> dict[int, set[int]]:
        """For each turn (number of line feeds before it) that holds a literal: the ids of its literals."""
        if self._database is None:
            return {}
        data = joined.encode()
        ends: list[tuple[int, int]] = []
        add = ends.append

        def on_match(literal: int, start: int, end: int, flags: int, context: object) -> None:  # noqa: ARG001
            add((end, literal))

        self._database.scan(data, match_event_handler=on_match)
        if not ends:
            return {}
        feeds = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == _LINE_FEED).tolist()
        hits: dict[int, set[int]] = {}
        for end, literal in ends:
            turn = bisect_left(feeds, end)
            found = hits.get(turn)
            if found is None:
                hits[turn] = {literal}
            else:
                found.add(literal)
        return hits


ENGINE = f"hyperscan {version('hyperscan')}"
