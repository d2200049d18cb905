"""The score of a flag that no model scored: how often such flags were right, never a number set by hand.

A lexicon's `scores.json` holds, per signal, true and false flags on the development set (written by `screening evaluate
--write-scores`). A rule's score is a beta estimate from its judged flags, shrunk to its signal's precision with the weight
of `SHRINK` flags; until `ENOUGH` flags were judged it counts as prior.
"""

from collections.abc import Mapping

SHRINK = 10.0
ENOUGH = 20


class Scores:
    """Scores per signal, and per rule where reviewers judged flags: `judged[rule id] = (version, confirmed, rejected)`.

    What one version of a rule got right or wrong says nothing about another.
    """

    def __init__(self, signals: Mapping[str, tuple[int, int]], judged: Mapping[str, tuple[int, int, int]] | None = None):
        self._signals = signals
        self._judged = judged or {}
        self._cache: dict[tuple[str, str, int], tuple[float, bool]] = {}

    def score(self, signal: str, source: str, version: int) -> tuple[float, bool]:
        """(score rounded to 3 decimals, whether it is still prior)."""
        key = (signal, source, version)
        if key not in self._cache:
            right, wrong = self._signals.get(signal, (0, 0))
            precision = (right + 1) / (right + wrong + 2)
            judged, confirmed, rejected = self._judged.get(source, (version, 0, 0))
            if judged != version:
                confirmed = rejected = 0
            estimate = (confirmed + SHRINK * precision) / (confirmed + rejected + SHRINK)
            self._cache[key] = (round(estimate, 3), confirmed + rejected < ENOUGH)
        return self._cache[key]
