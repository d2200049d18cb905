"""The encoder tier as it serves: ONNX Runtime in int8, one row at a time.

Dynamic int8 gives other last digits in other batch shapes, so rows are never padded and never run together: a turn scores
the same alone, in a batch, and live.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime
from tokenizers import Tokenizer

from models.inputs import Row, RowMaker

ENCODER, TOKENIZER = "encoder.onnx", "tokenizer.json"
_REMEMBERED = 4096
Array = npt.NDArray[np.float32]


class Judgement(NamedTuple):
    """Log-odds of each signal for a turn, and of each signal for its places: tokens x signals, (start, end) of clean text."""

    turn: Array
    tokens: Array
    places: list[tuple[int, int]]


def row_maker(folder: Path, opening: int, closing: int) -> RowMaker:
    """Rows with the tokenizer of an artefact."""
    return RowMaker(Tokenizer.from_file(str(folder / TOKENIZER)), opening, closing)


class Judge(Protocol):
    """What the cascade needs of an encoder."""

    engine: str

    def judge(self, rows: Sequence[Row]) -> Judgement:
        """The judgement of the turn that `rows` are the windows of."""
        ...

    def judge_all(self, turns: Sequence[Sequence[Row]]) -> Iterator[Judgement]:
        """The judgements of many turns, in order."""
        ...


class Encoder:
    """Judges rows, for any thread; remembers the last few thousand rows, which repeats in real traffic hit often."""

    def __init__(self, path: Path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.engine = engine()
        self._judged: OrderedDict[tuple[int, ...], tuple[Array, Array]] = OrderedDict()
        self._remembering = threading.Lock()

    def judge(self, rows: Sequence[Row]) -> Judgement:
        """The judgement of the turn that `rows` are the windows of; the highest log-odds of the windows count."""
        return joined(rows, [self._run(row) for row in rows])

    def judge_all(self, turns: Sequence[Sequence[Row]]) -> Iterator[Judgement]:
        """The judgements of many turns, in order."""
        return map(self.judge, turns)

    def _run(self, row: Row) -> tuple[Array, Array]:
        key = (row.first, row.turn, *row.ids)
        with self._remembering:
            known = self._judged.get(key)
            if known is not None:
                self._judged.move_to_end(key)
                return known
        judged = np.zeros((1, len(row.ids)), dtype=np.float32)
        judged[0, row.first : row.first + row.turn] = 1
        by_turn, by_token = self._session.run(None, {"ids": np.array([row.ids], dtype=np.int64), "turn": judged})
        with self._remembering:
            self._judged[key] = by_turn[0], by_token[0]
            if len(self._judged) > _REMEMBERED:
                self._judged.popitem(last=False)
        return by_turn[0], by_token[0]


def joined(rows: Sequence[Row], outcomes: Sequence[tuple[Array, Array]]) -> Judgement:
    """What the outcomes of a turn's windows say together."""
    tokens = np.concatenate([own[row.first : row.first + row.turn] for row, (_, own) in zip(rows, outcomes, strict=True)])
    turn = np.max([own for own, _ in outcomes], axis=0)
    return Judgement(turn, tokens, [place for row in rows for place in row.places])


def engine() -> str:
    """What computes the scores; part of a screening's versions."""
    return f"onnxruntime {onnxruntime.__version__} cpu int8"
