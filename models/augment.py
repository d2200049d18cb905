"""Augmentation by code: the same judged turn written as hurried, transcribed or disguised text. Never counted as training text.

Every change keeps the labels and moves the marks with their characters; disguises come to innocent turns as often as to
guilty ones, so that writing oddly is no evidence. Changes of script and readings in brackets (pinyin gloss) are undone by
the normaliser before any model reads a turn, so there is nothing to learn from them (tests/test_augment.py shows it).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from random import Random
from typing import NamedTuple

import numpy as np

from screening.normalise import tables

_PUNCTUATION = frozenset(" ，。！？；：、,.!?;:…~“”\"'()")
_FILLERS = ("嗯", "啊", "那个", "就是", "呃", "就是说", "这个")
_SEPARATORS = (".", "*", "-", "丨", "/", "_", "❤", "·", "。", "+")
KINDS = ("typing", "asr", "disguise")


class Marked(NamedTuple):
    """A turn's characters; `marks[i]` is the set of signals (as bits) whose marked words character i belongs to."""

    chars: list[str]
    marks: list[int]


def augment(turn: Marked, kind: str, random: Random, forms: Mapping[str, Sequence[str]]) -> Marked:
    """The turn changed in one of the `KINDS`; `forms` are other writings of a character (lexicons/variants)."""
    changes: dict[str, Callable[[Marked], Marked]] = {
        "typing": lambda text: _typing(text, random),
        "asr": lambda text: _transcribed(text, random),
        "disguise": lambda text: _disguised(text, random, forms),
    }
    changed = changes[kind](turn)
    return changed if changed.chars else turn


def _typing(turn: Marked, random: Random) -> Marked:
    """Haste: a few characters dropped, doubled, swapped, or picked wrong among those of the same sound."""
    out = Marked([], [])
    for char, mark in zip(turn.chars, turn.marks, strict=True):
        draw = random.random()
        if draw < 0.015 and len(turn.chars) > 4:
            continue
        if draw < 0.04:
            _put(out, _of_same_sound(char, random), mark)
        elif draw < 0.05:
            _put(out, char, mark)
            _put(out, char, mark)
        elif draw < 0.06 and out.chars:
            out.chars.insert(-1, char)
            out.marks.insert(-1, mark)
        elif char in _PUNCTUATION and draw < 0.5:
            _put(out, random.choice(" ~,。"), mark)
        else:
            _put(out, char, mark)
    return out


def _transcribed(turn: Marked, random: Random) -> Marked:
    """Speech to text: no punctuation, fillers, words of the same sound."""
    out = Marked([], [])
    for char, mark in zip(turn.chars, turn.marks, strict=True):
        if char in _PUNCTUATION:
            if random.random() < 0.25:
                for filler in random.choice(_FILLERS):
                    _put(out, filler, mark)
            continue
        _put(out, _of_same_sound(char, random) if random.random() < 0.04 else char, mark)
    return out


def _disguised(turn: Marked, random: Random, forms: Mapping[str, Sequence[str]]) -> Marked:
    """Against word lists: marked words (or, where nothing is marked, some words) written otherwise or taken apart by signs."""
    if any(turn.marks):
        chosen = [mark > 0 for mark in turn.marks]
    else:
        start = random.randrange(len(turn.chars))
        chosen = [start <= i < start + 8 for i in range(len(turn.chars))]
    apart = random.random() < 0.4
    separator = random.choice(_SEPARATORS)
    out = Marked([], [])
    for i, (char, mark) in enumerate(zip(turn.chars, turn.marks, strict=True)):
        if not chosen[i]:
            _put(out, char, mark)
        elif apart:
            _put(out, char, mark)
            if i + 1 < len(chosen) and chosen[i + 1]:
                _put(out, separator, mark)
        elif random.random() < 0.3:
            for other in random.choice(forms[char]) if char in forms and random.random() < 0.6 else _of_same_sound(char, random):
                _put(out, other, mark)
        else:
            _put(out, char, mark)
    return out


def _put(turn: Marked, char: str, mark: int) -> None:
    turn.chars.append(char)
    turn.marks.append(mark)


@lru_cache(maxsize=1)
def _sounds() -> dict[int, list[str]]:
    """The commonest characters by their sound."""
    sound = tables.sound()
    found: dict[int, list[str]] = {}
    for char in tables.surprisal():
        found.setdefault(int(sound[ord(char)]), []).append(char)
    return found


def _of_same_sound(char: str, random: Random) -> str:
    sound = tables.sound()
    if ord(char) >= np.size(sound):
        return char
    others = [other for other in _sounds().get(int(sound[ord(char)]), ()) if other != char]
    return random.choice(others) if others else char
