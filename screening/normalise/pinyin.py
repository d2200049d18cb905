"""Pinyin typed for characters (jia wo wei xin): which letters are syllables, and which words of the lexicon they sound like.

Letters alone never say which character is meant. Words of the lexicon are tried first, the longest before the shorter; what
is left between them is read as the commonest character of its syllable. Where no word of the lexicon is heard, nothing is read.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import product
from typing import NamedTuple

from screening.normalise import tables

_TONES = str.maketrans("āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜüńňǹḿ", "aaaaeeeeiiiioooouuuuvvvvvnnnm")
LETTERS = "a-zāáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜüńňǹḿ"
_RUN = re.compile(f"[{LETTERS}]+(?:[ '’.·*-][{LETTERS}]+)*")
_CHUNK = re.compile("[a-z]+")
_WORD_SHORTEST, _WORD_LONGEST = 2, 4
_READINGS_LIMIT = 8
LETTERS_LEAST = 4
_ENGLISH = frozenset(
    [
        "bake",
        "banana",
        "base",
        "bike",
        "bite",
        "cage",
        "cake",
        "came",
        "case",
        "chance",
        "change",
        "chase",
        "china",
        "cute",
        "dance",
        "data",
        "date",
        "daze",
        "dice",
        "dine",
        "dude",
        "duke",
        "face",
        "fade",
        "fake",
        "fame",
        "fate",
        "fine",
        "game",
        "gate",
        "gauge",
        "gaze",
        "gene",
        "guide",
        "haha",
        "hanger",
        "hate",
        "haze",
        "hehe",
        "hihi",
        "home",
        "huge",
        "huawei",
        "human",
        "june",
        "kate",
        "lace",
        "lake",
        "lala",
        "lame",
        "lane",
        "late",
        "lease",
        "like",
        "lime",
        "line",
        "lite",
        "luge",
        "made",
        "make",
        "male",
        "mama",
        "mate",
        "maze",
        "menu",
        "mice",
        "mike",
        "mile",
        "mine",
        "mode",
        "mole",
        "mute",
        "name",
        "nana",
        "nice",
        "nike",
        "nile",
        "nine",
        "nude",
        "nuke",
        "pace",
        "page",
        "pale",
        "panda",
        "papa",
        "pike",
        "pile",
        "pine",
        "poke",
        "pole",
        "range",
        "rude",
        "rule",
        "sage",
        "sake",
        "sale",
        "same",
        "sense",
        "shade",
        "shaman",
        "shine",
        "side",
        "site",
        "size",
        "sushi",
        "suite",
        "take",
        "tale",
        "tame",
        "tide",
        "tile",
        "time",
        "tofu",
        "tune",
        "wade",
        "wage",
        "wake",
        "woke",
        "woman",
        "women",
        "xixi",
        "yoga",
    ]
)
"""English words and laughter that would pass for pinyin."""


class Heard(NamedTuple):
    """One character heard in the half-open range of letters that spell it."""

    start: int
    end: int
    char: str


class Syllable(NamedTuple):
    """Letters that are one syllable, and their half-open range."""

    start: int
    end: int
    letters: str


def plain(reading: str) -> str:
    """A reading without its tone marks; ü is v."""
    return reading.translate(_TONES)


@cache
def _commonest() -> dict[str, str]:
    """Each toneless syllable of two letters and more to its commonest character."""
    talk, written = tables.talk_surprisal(), tables.surprisal()
    best: dict[str, tuple[float, str]] = {}
    for char, readings in tables.readings().items():
        if chr(tables.SCRIPT[ord(char)]) != char:
            continue
        rank = talk.get(char, 20.0 + written.get(char, 20.0)), char
        for syllable in {plain(reading) for reading in readings}:
            if len(syllable) > 1 and (syllable not in best or rank < best[syllable]):
                best[syllable] = rank
    return {syllable: char for syllable, (_, char) in best.items()}


@cache
def _longest() -> int:
    return max(map(len, _commonest()))


def _syllables(chunk: str, at: int) -> list[Syllable] | None:
    """A chunk of letters cut into the fewest syllables, the longer first; None where it is no pinyin."""
    if chunk in _ENGLISH:
        return None
    known = _commonest()
    ends: list[int | None] = [None] * len(chunk) + [len(chunk)]
    counts = [0] * (len(chunk) + 1)
    for start in range(len(chunk) - 1, -1, -1):
        for end in range(min(len(chunk), start + _longest()), start + 1, -1):
            if ends[end] is not None and chunk[start:end] in known and (ends[start] is None or counts[end] + 1 < counts[start]):
                ends[start], counts[start] = end, counts[end] + 1
    found: list[Syllable] = []
    start = 0
    while start < len(chunk):
        stop = ends[start]
        if stop is None:
            return None
        found.append(Syllable(at + start, at + stop, chunk[start:stop]))
        start = stop
    return found


class PinyinReader:
    """Reads pinyin as words of one lexicon."""

    def __init__(self, words: Iterable[str]):
        self._words: dict[tuple[str, ...], str] = {}
        readings = tables.readings()
        counted = Counter(word for word in words if _WORD_SHORTEST <= len(word) <= _WORD_LONGEST)
        for word, _ in sorted(counted.items(), key=lambda item: (-item[1], item[0])):
            choices = [sorted({plain(reading) for reading in readings.get(char, ())}) for char in word]
            ways = list(product(*choices))
            for way in ways if len(ways) <= _READINGS_LIMIT else ways[:1]:
                self._words.setdefault(way, word)

    def heard(self, clean: str) -> list[Heard]:
        """The characters that pinyin in a clean text stands for, in order."""
        found: list[Heard] = []
        for run in _RUN.finditer(clean):
            if run.end() - run.start() >= LETTERS_LEAST:
                for syllables in _sequences(run[0].translate(_TONES), run.start()):
                    found += self._read(syllables)
        return found

    def _read(self, syllables: list[Syllable]) -> list[Heard]:
        chars: list[str | None] = [None] * len(syllables)
        at = 0
        while at < len(syllables):
            for size in range(_WORD_LONGEST, _WORD_SHORTEST - 1, -1):
                word = self._words.get(tuple(syllable.letters for syllable in syllables[at : at + size]))
                if word is not None and len(word) == size:
                    chars[at : at + size] = word
                    at += size
                    break
            else:
                at += 1
        if all(char is None for char in chars):
            return []
        known = _commonest()
        return [Heard(s.start, s.end, char or known[s.letters]) for s, char in zip(syllables, chars, strict=True)]


def _sequences(letters: str, at: int) -> Iterator[list[Syllable]]:
    """The stretches of a run that are all pinyin."""
    stretch: list[Syllable] = []
    for chunk in _CHUNK.finditer(letters):
        syllables = _syllables(chunk[0], at + chunk.start())
        if syllables is None:
            yield stretch
            stretch = []
        else:
            stretch += syllables
    yield stretch
