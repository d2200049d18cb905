"""The linear tier: one logistic regression per signal over hashed n-grams, and one for "anything at all", served by numpy.

Each block of n-grams counts with its weight over the root of its length, so that long turns do not outshout short ones.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.features import BLOCKS, FACTS, HASHED, TurnText, grams

Matrix = npt.NDArray[np.float32]


class LinearModel:
    """Log-odds of each signal, and of any signal at all, for judged turns.

    `weights` has one row for each hash, then one for each of `FACTS`, and a column for each of `signals` and a last one for
    "any"; `bias` one number for each column.
    """

    def __init__(self, signals: Sequence[str], weights: Matrix, bias: Matrix):
        if weights.shape != (HASHED + len(FACTS), len(signals) + 1) or bias.shape != (len(signals) + 1,):
            raise ValueError(f"weights {weights.shape} and bias {bias.shape} do not fit {len(signals)} signals")
        self.signals = tuple(signals)
        self._weights = weights
        self._bias = bias
        self._columns: dict[int, Matrix] = {}

    @classmethod
    def load(cls, path: Path, signals: Sequence[str]) -> "LinearModel":
        """The model that `save` wrote."""
        with np.load(path) as stored:
            return cls(signals, stored["weights"].astype(np.float32), stored["bias"])

    def save(self, path: Path) -> None:
        """Write the weights in half precision, which they are rounded to."""
        np.savez_compressed(path, weights=self._weights.astype(np.float16), bias=self._bias)

    def scores(self, turns: Sequence[TurnText]) -> Matrix:
        """Log-odds, turns x signals."""
        return self._sums(turns, self._weights[:, :-1]) + self._bias[:-1]

    def any(self, turns: Sequence[TurnText]) -> Matrix:
        """Log-odds that an agent's turn shows any signal, one number a turn."""
        return self._column(turns, -1)

    def signal(self, turns: Sequence[TurnText], signal: str) -> Matrix:
        """Log-odds of one signal, one number a turn."""
        return self._column(turns, self.signals.index(signal))

    def _column(self, turns: Sequence[TurnText], k: int) -> Matrix:
        if k not in self._columns:
            self._columns[k] = np.ascontiguousarray(self._weights[:, k])
        return np.asarray(self._sums(turns, self._columns[k]) + self._bias[k])

    def _sums(self, turns: Sequence[TurnText], weights: Matrix) -> Matrix:
        """Weighted sums of each turn's rows of `weights`, a matrix or one column."""
        found = weights[[HASHED + turn.fact for turn in turns]]
        for number, block in enumerate(BLOCKS):
            filled = [i for i, turn in enumerate(turns) if turn.blocks[number]]
            if not filled:
                continue
            sums = np.zeros((len(filled), *weights.shape[1:]), dtype=np.float32)
            counts = np.zeros(len(filled), dtype=np.int64)
            for hashes, text_of in grams([turns[i].blocks[number] for i in filled], number):
                if hashes.size:
                    first, sizes = _stretches(text_of)
                    sums[text_of[first]] += np.add.reduceat(weights[hashes], first, axis=0)
                    counts[text_of[first]] += sizes
            scale = block.weight / np.sqrt(np.maximum(counts, 1), dtype=np.float32)
            found[filled] += sums * (scale[:, None] if sums.ndim == 2 else scale)
        return found


def _stretches(text_of: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Where each stretch of equal numbers begins, and how long it is; the array is not empty."""
    begins = np.empty(text_of.size, dtype=bool)
    begins[0] = True
    np.not_equal(text_of[1:], text_of[:-1], out=begins[1:])
    first = begins.nonzero()[0]
    ends = np.empty_like(first)
    ends[:-1], ends[-1] = first[1:], text_of.size
    return first, ends - first


def entries(turns: Sequence[TurnText]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Matrix]:
    """The same features as a sparse matrix to train on: (rows, columns, values); a hash may stand several times in a row."""
    rows, columns, values = [], [], []
    for number, block in enumerate(BLOCKS):
        parts = list(grams([turn.blocks[number] for turn in turns], number))
        text_of = np.concatenate([part[1] for part in parts])
        counts = np.bincount(text_of, minlength=len(turns))
        rows.append(text_of)
        columns.append(np.concatenate([part[0] for part in parts]).astype(np.intp))
        values.append((block.weight / np.sqrt(np.maximum(counts, 1), dtype=np.float32))[text_of].astype(np.float32))
    rows.append(np.arange(len(turns), dtype=np.intp))
    columns.append(np.array([HASHED + turn.fact for turn in turns], dtype=np.intp))
    values.append(np.ones(len(turns), dtype=np.float32))
    return np.concatenate(rows), np.concatenate(columns), np.concatenate(values)
