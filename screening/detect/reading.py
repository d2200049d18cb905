"""Conversations as the detectors read them: clean text on demand, and what was nominated for each turn."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise

import numpy as np

from lexicons.schema import Speaker
from screening.detect.locate import Layout, Located
from screening.detect.vocabulary import Vocabulary
from screening.normalise import tables
from screening.normalise.clean import CleanBatch
from screening.types import CleanTurn, Conversation, Role, Span

_SPEAKERS: tuple[Speaker, ...] = ("agent", "customer", "system")
_NOTHING: frozenset[int] = frozenset()
_SUSPECT_DIGITS = 6


class Batch:
    """Many conversations normalised and searched at once; their turns lie side by side, one speaker's after the other's.

    With `numbers` all are windows on running conversations: only the last turn of each is judged, which is turn `numbers[k]` of the
    whole. Raises `InputError` where a text cannot be read.
    """

    def __init__(self, conversations: Sequence[Conversation], vocabulary: Vocabulary, numbers: Sequence[int] | None = None):
        turns = [turn for conversation in conversations for turn in conversation.turns]
        self._conversations = conversations
        self._firsts = [0, *accumulate(len(conversation.turns) for conversation in conversations)]
        self._numbers = numbers
        judged = range(len(turns)) if numbers is None else [first - 1 for first in self._firsts[1:]]
        context = () if numbers is None else sorted(set(range(len(turns))).difference(judged))
        roles = [turn.role for turn in turns]
        order: list[int] = []
        segments = _segments(roles, judged, order)
        agents = segments["agent"][1]
        before = _segments(roles, context, order)
        order += [i for i, role in enumerate(roles) if role == "bot"]
        self._layout = Layout(roles, order, self._firsts)
        self.texts = CleanBatch([turns[i].text for i in order])
        nominations = vocabulary.nominate(self.texts, segments, before)
        self.located = Located(vocabulary, self.texts, nominations, self._layout)
        self.with_digits = _with_numbers(self.texts, agents)

    def readings(self) -> "Iterator[Reading]":
        """A reading for each conversation, in order."""
        places = self._layout.places
        for number, (first, last) in enumerate(pairwise(self._firsts)):
            counts_as = None if self._numbers is None else self._numbers[number]
            yield Reading(self._conversations[number], self, number, places[first:last], counts_as)


def _segments(roles: Sequence[Role], turns: Iterable[int], order: list[int]) -> dict[Speaker, tuple[int, int]]:
    """Append the turns to the order, one speaker's after the other's; where each speaker's lie in it."""
    by_role: dict[Role, list[int]] = {}
    for i in turns:
        by_role.setdefault(roles[i], []).append(i)
    segments: dict[Speaker, tuple[int, int]] = {}
    for speaker in _SPEAKERS:
        first = len(order)
        order += by_role.get(speaker, ())
        segments[speaker] = (first, len(order))
    return segments


def _with_numbers(texts: CleanBatch, agents: int) -> frozenset[int]:
    """Agent turns with digits (also Chinese ones) enough for personal data."""
    if agents == 0:
        return _NOTHING
    starts = np.asarray(texts.raw_starts[: agents + 1])
    numerals = (texts.bits[: starts[-1]] & tables.NUMERAL) > 0
    counts = np.add.reduceat(numerals.astype(np.int32), starts[:-1])
    return frozenset(np.flatnonzero(counts >= _SUSPECT_DIGITS).tolist())


class Reading:
    """One conversation inside a batch; turn numbers are the conversation's own.

    Turns before `judged` are context. In a window on a running conversation `last` is what its last turn counts as in the whole.
    """

    __slots__ = ("_located", "_number", "_places", "_texts", "_with_digits", "conversation", "judged", "last")

    def __init__(self, conversation: Conversation, batch: Batch, number: int, places: Sequence[int], last: int | None = None):
        self.conversation = conversation
        self.last = last
        self.judged = 0 if last is None else len(places) - 1
        self._number = number
        self._texts = batch.texts
        self._located = batch.located
        self._with_digits = batch.with_digits
        self._places = places

    def clean(self, i: int) -> str:
        """Clean text of turn `i`."""
        return self._located.clean(self._places[i])

    def folded(self, i: int) -> str:
        """Turn `i` in the folded view."""
        return self._located.folded_text(self._places[i])

    def turn(self, i: int) -> CleanTurn:
        """Turn `i` with its way back to the original."""
        return self._texts.turn(self._places[i])

    def with_numbers(self) -> list[int]:
        """Agent turns with digits enough for personal data."""
        digits = self._with_digits
        return [i for i, place in enumerate(self._places) if place in digits] if digits else []

    def hits(self) -> list[tuple[int, Mapping[int, set[Span]]]]:
        """Turns with rules' words: (turn, rule to clean ranges)."""
        rules = self._located.rules()
        return [(i, rules[place]) for i, place in enumerate(self._places) if place in rules]

    def beside(self, i: int, kind: str) -> str:
        """The clean text of turn `i` without the words of its cues of this kind."""
        text = self.clean(i)
        spans = self._located.cues(kind).spans(self._places[i])
        return "".join(char for at, char in enumerate(text) if not any(start <= at < end for start, end in spans))

    def has(self, i: int, kind: str) -> bool:
        """Whether turn `i` shows a cue of this kind said by a speaker the cue is meant for."""
        return bool(self._located.cues(kind).among((self._places[i],)))

    def showing(self, kind: str) -> Sequence[int]:
        """All turns that show a cue of this kind: for kinds that are asked of every conversation."""
        return self._located.turns(kind).get(self._number, ())
