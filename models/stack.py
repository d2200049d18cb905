"""Rules, linear tier and encoder combined into one calibrated probability per signal (stacking, D. Wolpert 1992).

A logistic regression over the three opinions, with weights shared by all signals and one intercept for each, fitted on briefs that
neither the models nor the authors of the rules had seen.
"""

from collections.abc import Mapping, Sequence
from math import log

import msgspec
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
OPINIONS = ("linear", "encoder", "rule")


class Thresholds(msgspec.Struct, frozen=True):
    """Probabilities from which on a signal is flagged, and from which on a person should look although it is not."""

    flag: float
    look: float


class Stack(msgspec.Struct, frozen=True):
    """`weights` of the `OPINIONS`, one intercept and the thresholds per signal."""

    weights: tuple[float, ...]
    intercepts: Mapping[str, float]
    thresholds: Mapping[str, Thresholds]

    def probabilities(self, signals: Sequence[str], cells: Array) -> Array:
        """For each signal the probability that a reviewer confirms it; `cells` as `opinions` gives them."""
        intercepts = np.array([self.intercepts[signal] for signal in signals])
        return np.asarray(1 / (1 + np.exp(-(cells @ np.array(self.weights) + intercepts))))


def opinions(signals: Sequence[str], linear: npt.ArrayLike, encoder: npt.ArrayLike, rules: Mapping[str, float]) -> Array:
    """Signals x `OPINIONS`: log-odds by both tiers, and those of the score of the rule that hit, 0 where none did."""
    hits = [_log_odds(rules[signal]) if signal in rules else 0.0 for signal in signals]
    return np.stack([np.asarray(linear, dtype=np.float64), np.asarray(encoder, dtype=np.float64), hits], axis=1)


def _log_odds(probability: float) -> float:
    """ln(p / (1 - p)), within what a thousand judged flags could show."""
    kept = min(max(probability, 0.001), 0.999)
    return log(kept / (1 - kept))
