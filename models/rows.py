"""Labelled turns as rows to train on: tokens, what the turn shows, and which tokens show it."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lexicons.signals import TEXT_SIGNALS
from models.augment import KINDS, Marked, augment
from models.dataset import Example
from models.inputs import RowMaker
from screening.normalise.clean import clean_text
from screening.types import Role

SIGNALS: tuple[str, ...] = tuple(signal for signal in TEXT_SIGNALS if signal != "process.three_guarantees")
"""What the classifiers answer for. A missing three-guarantees step is a missing formula: a matter of conduct, not of words."""


class LabelledRow(NamedTuple):
    """One row: token ids, the judged turn's tokens `first` to `first + turn`, and targets.

    `shows`: signals, 0 or 1; `marked`: judged tokens x signals, 0 or 1; `counts`: the weight of each signal in the loss.
    """

    ids: list[int]
    first: int
    turn: int
    shows: npt.NDArray[np.float32]
    marked: npt.NDArray[np.float32]
    counts: npt.NDArray[np.float32]


class LabelledTurn(NamedTuple):
    """An example in clean text with its marked words per character."""

    id: str
    roles: tuple[Role, ...]
    context: tuple[str, ...]
    turn: Marked
    shows: int
    counts: tuple[float, ...] = (1.0,) * len(SIGNALS)


def counts(example: Example, weight: float) -> tuple[float, ...]:
    """The weight of each signal: 1, or for a turn from review `weight` where people decided and 0 where nothing is known."""
    if example.judged is None:
        return (1.0,) * len(SIGNALS)
    return tuple(weight if signal in example.judged else 0.0 for signal in SIGNALS)


def labelled(example: Example, weight: float = 1.0) -> LabelledTurn:
    """The example after normalisation, a turn from review counted `weight` times; marked words that normalising took apart
    mark the whole turn.
    """
    turns = example.record.conversation.turns
    clean = clean_text(turns[-1].text).clean
    marks = [0] * len(clean)
    shows = 0
    for label in example.record.labels:
        bit = 1 << SIGNALS.index(label.signal)
        shows |= bit
        quote = clean_text(label.quote).clean
        start = clean.find(quote)
        start, end = (start, start + len(quote)) if start >= 0 and quote else (0, len(clean))
        for i in range(start, end):
            marks[i] |= bit
    context = tuple(clean_text(turn.text).clean for turn in turns[:-1])
    roles = tuple(turn.role for turn in turns)
    return LabelledTurn(example.record.id, roles, context, Marked(list(clean), marks), shows, counts(example, weight))


def unlabelled(turn: LabelledTurn) -> list[LabelledTurn]:
    """The agents' turns of its context as turns to judge; what they show is not known."""
    return [
        LabelledTurn(turn.id, turn.roles[: i + 1], turn.context[:i], Marked(list(text), [0] * len(text)), 0)
        for i, text in enumerate(turn.context)
        if text and turn.roles[i] == "agent"
    ]


def row(turn: LabelledTurn, maker: RowMaker) -> LabelledRow:
    """The turn's row; of a turn longer than a row the window with most marked words."""
    windows = maker.rows(turn.roles, [*turn.context, "".join(turn.turn.chars)], len(turn.context))
    best = max(windows, key=lambda w: sum(any(turn.turn.marks[start:end]) for start, end in w.places))
    marked = np.zeros((best.turn, len(SIGNALS)), dtype=np.float32)
    for k, (start, end) in enumerate(best.places):
        for mark in turn.turn.marks[start:end]:
            marked[k] = np.maximum(marked[k], _bits(mark))
    return LabelledRow(best.ids, best.first, best.turn, _bits(turn.shows), marked, np.array(turn.counts, dtype=np.float32))


def changed(turn: LabelledTurn, share: float, random: Random, forms: Mapping[str, Sequence[str]]) -> LabelledTurn:
    """The turn itself, or, in this share of calls, an augmented one."""
    if random.random() >= share or not turn.turn.chars:
        return turn
    return turn._replace(turn=augment(turn.turn, random.choice(KINDS), random, forms))


def other_forms(writings: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Per character the other writings that a lexicon knows of it."""
    found: dict[str, list[str]] = {}
    for form, meant in sorted(writings.items()):
        if len(meant) == 1:
            found.setdefault(meant, []).append(form)
    return {char: tuple(forms) for char, forms in found.items()}


def _bits(mark: int) -> npt.NDArray[np.float32]:
    return np.array([mark >> k & 1 for k in range(len(SIGNALS))], dtype=np.float32)
