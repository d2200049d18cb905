"""Training the linear tier: scikit-learn's logistic regression, one per signal, weights kept in half precision."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from models.features import FACTS, HASHED, TurnText
from models.linear import LinearModel, entries

STRENGTH = 30.0
"""Inverse strength of the penalty (C), picked on folds of the training text."""
SEEN = 2
"""A hash that fewer examples show gets no weight."""


def design(turns: Sequence[TurnText]) -> csr_matrix:
    """The features of `turns` as scikit-learn wants them."""
    rows, columns, values = entries(turns)
    return csr_matrix((values, (rows, columns)), shape=(len(turns), HASHED + len(FACTS)))


def fit(
    turns: Sequence[TurnText],
    shows: npt.NDArray[np.bool_],
    signals: Sequence[str],
    agents: npt.NDArray[np.bool_],
    counts: npt.NDArray[np.float32],
) -> LinearModel:
    """The model of `turns` and what they show (turns x signals), each cell counted as `counts` says.

    "any" is learned from the agents' turns alone, and of those that are not known in full only from those that show something.
    """
    features = design(turns)
    seen = np.bincount(features.indices, minlength=features.shape[1]) >= SEEN
    kept = np.flatnonzero(seen)
    weights = np.zeros((features.shape[1], len(signals) + 1), dtype=np.float32)
    bias = np.zeros(len(signals) + 1, dtype=np.float32)
    features = features[:, kept]
    for k in range(len(signals) + 1):
        target: npt.NDArray[np.bool_] = shows[:, k] if k < len(signals) else np.asarray(shows.any(axis=1))
        weight = counts[:, k] if k < len(signals) else agents * np.where(target, counts.max(axis=1), counts.min(axis=1))
        used = weight > 0
        model = LogisticRegression(C=STRENGTH, solver="liblinear", class_weight="balanced")
        model.fit(features[used], target[used], weight[used])
        weights[kept, k] = model.coef_[0].astype(np.float16)
        bias[k] = model.intercept_[0]
    return LinearModel(signals, weights, bias)
