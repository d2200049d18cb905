"""Conversations as the detectors read them: clean text on demand, and what was nominated for each turn."""

from collections.abc import Iterator, Sequence

import numpy as np

from lexicons.schema import Speaker
from screening.detect.vocabulary import Nominations, Vocabulary
from screening.normalise import tables
from screening.normalise.clean import CleanBatch
from screening.normalise.fold import Folded
from screening.types import CleanTurn, Conversation

_NOTHING: frozenset[int] = frozenset()
_SUSPECT_DIGITS = 6


class Batch:
    """Many conversations normalised and searched at once; their turns lie side by side, one speaker's after the other's.

    Raises `InputError` where a text cannot be read.
    """

    def __init__(self, conversations: Sequence[Conversation], vocabulary: Vocabulary):
        turns = [turn for conversation in conversations for turn in conversation.turns]
        roles = [turn.role for turn in turns]
        speakers: tuple[Speaker, ...] = ("agent", "customer", "system")
        order: list[int] = []
        segments: dict[Speaker, tuple[int, int]] = {}
        for speaker in speakers:
            first = len(order)
            order += [i for i, role in enumerate(roles) if role == speaker]
            segments[speaker] = (first, len(order))
        order += [i for i, role in enumerate(roles) if role == "bot"]
        places = [0] * len(order)
        for place, i in enumerate(order):
            places[i] = place
        self._conversations = conversations
        self._vocabulary = vocabulary
        self._places = places
        self.texts = CleanBatch([turns[i].text for i in order])
        self.nominations = vocabulary.nominate(self.texts, segments)
        self._numbers = _with_numbers(self.texts, segments["agent"][1])

    def readings(self) -> "Iterator[Reading]":
        """A reading for each conversation, in order."""
        first = 0
        for conversation in self._conversations:
            last = first + len(conversation.turns)
            yield Reading(conversation, self._vocabulary, self.texts, self.nominations, self._places[first:last], self._numbers)
            first = last


def _with_numbers(texts: CleanBatch, agents: int) -> frozenset[int]:
    """Agent turns with digits (also Chinese ones) enough for personal data."""
    if agents == 0:
        return _NOTHING
    starts = np.asarray(texts.raw_starts[: agents + 1])
    numerals = (texts.bits[: starts[-1]] & tables.NUMERAL) > 0
    counts = np.add.reduceat(numerals.astype(np.int32), starts[:-1])
    return frozenset(np.flatnonzero(counts >= _SUSPECT_DIGITS).tolist())


class Reading:
    """One conversation inside a batch; turn numbers are the conversation's own."""

    __slots__ = (
        "_cleans",
        "_folded",
        "_folded_texts",
        "_nominations",
        "_numbers",
        "_places",
        "_signs",
        "_texts",
        "conversation",
        "vocabulary",
    )

    def __init__(
        self,
        conversation: Conversation,
        vocabulary: Vocabulary,
        texts: CleanBatch,
        nominations: Nominations,
        places: Sequence[int],
        numbers: frozenset[int],
    ):
        self.conversation = conversation
        self.vocabulary = vocabulary
        self._texts = texts
        self._nominations = nominations
        self._places = places
        self._numbers = numbers
        self._folded: dict[int, Folded] = {}
        self._cleans: dict[int, str] = {}
        self._folded_texts: dict[int, str] = {}
        self._signs: dict[tuple[int, str], bool] = {}

    def clean(self, i: int) -> str:
        """Clean text of turn `i`."""
        text = self._cleans.get(i)
        if text is None:
            text = self._cleans[i] = self._texts.clean(self._places[i])
        return text

    def turn(self, i: int) -> CleanTurn:
        """Turn `i` with its way back to the original."""
        return self._texts.turn(self._places[i])

    def folded(self, i: int) -> Folded:
        """Folded view of turn `i`."""
        if i not in self._folded:
            self._folded[i] = self.vocabulary.folder.fold(self.clean(i))
        return self._folded[i]

    def folded_text(self, i: int) -> str:
        """The text of turn `i`'s folded view: most have nothing in it, and then need no way back."""
        text = self._folded_texts.get(i)
        if text is None:
            text = self._folded_texts[i] = self.vocabulary.folder.text(self.clean(i))
        return text

    def with_numbers(self) -> list[int]:
        """Agent turns with digits enough for personal data."""
        numbers = self._numbers
        return [i for i, place in enumerate(self._places) if place in numbers] if numbers else []

    def nominated(self) -> list[tuple[int, dict[int, int]]]:
        """Turns with nominated rules: (turn, rule to the views that may show it)."""
        rules = self._nominations.rules
        return [(i, rules[place]) for i, place in enumerate(self._places) if place in rules]

    def may_have(self, i: int, kind: str) -> bool:
        """Whether turn `i` was nominated for a cue of this kind: a cheap no before `has`."""
        return bool(self._entries(i, kind))

    def _entries(self, i: int, kind: str) -> Sequence[int]:
        return self._nominations.cues(kind).get(self._places[i], ())

    def beside(self, i: int, kind: str) -> str:
        """The clean text of turn `i` without the words of its cues of this kind."""
        text = self.clean(i)
        spans = [span for entry in self._entries(i, kind) for span in self.vocabulary.entries[entry].spans(text)]
        return "".join(char for at, char in enumerate(text) if not any(start <= at < end for start, end in spans))

    def has(self, i: int, kind: str) -> bool:
        """Whether turn `i` shows a cue of this kind said by a speaker the cue is meant for."""
        entries = self._nominations.cues(kind).get(self._places[i])
        if entries is None:
            return False
        key = (i, kind)
        known = self._signs.get(key)
        if known is None:
            known = self._signs[key] = any(self.vocabulary.entries[entry].found(self.clean(i)) for entry in entries)
        return known
