"""A judged turn with what stood before it, as the encoder reads it: [opening] turn [closing] context [closing].

Needs only the `tokenizers` package, so that training and serving share every line.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tokenizers import Tokenizer

from screening.types import Role

CONTEXT_TURNS = 4
ROW = 64
TURN = 44
"""Tokens of a row, and of it for the judged turn at most; longer turns are read in windows."""
_STRIDE = 30
_MARKS: dict[Role, str] = {"customer": "客:", "agent": "服:", "bot": "机:", "system": "系:"}


class Row(NamedTuple):
    """Token ids of one row; the judged turn's are the `turn` from `first` on, the k-th of them for its characters `places[k]`."""

    ids: list[int]
    first: int
    turn: int
    places: list[tuple[int, int]]


class RowMaker:
    """Makes rows with one tokenizer; `opening` and `closing` are its ids for the start of a row and the end of a part."""

    def __init__(self, tokenizer: Tokenizer, opening: int, closing: int):
        self._tokenizer = tokenizer
        self._opening = opening
        self._closing = closing

    def rows(self, roles: Sequence[Role], cleans: Sequence[str], i: int) -> list[Row]:
        """The rows of turn `i` of a conversation in clean text: one, or several windows where it is longer than `TURN` tokens.

        The context is cut on its far side to what a row has left.
        """
        mark = _MARKS[roles[i]]
        judged = self._tokenizer.encode(mark + cleans[i], add_special_tokens=False)
        first = next((k for k, (_, end) in enumerate(judged.offsets) if end > len(mark)), len(judged.ids))
        head, ids, offsets = judged.ids[:first], judged.ids[first:], judged.offsets[first:]
        places = [(max(0, start - len(mark)), end - len(mark)) for start, end in offsets]
        before = range(max(0, i - CONTEXT_TURNS), i)
        context = self._tokenizer.encode("".join(_MARKS[roles[j]] + cleans[j] for j in before), add_special_tokens=False).ids
        found = []
        for start in _starts(len(ids)):
            window = ids[start : start + TURN]
            left = ROW - 3 - len(head) - len(window)
            kept = context[-left:] if context and left > 0 else []
            row = [self._opening, *head, *window, self._closing, *kept, self._closing]
            found.append(Row(row, 1 + len(head), len(window), places[start : start + TURN]))
        return found


def _starts(tokens: int) -> list[int]:
    if tokens <= TURN:
        return [0]
    return [*range(0, tokens - TURN, _STRIDE), tokens - TURN]
