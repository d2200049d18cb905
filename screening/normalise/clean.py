"""The clean view: what the writer meant, in one script, one width and one case, with the way back to the original.

The order matters and is DESIGN.md's: readings in brackets go first (they must be compared with the traditional
character), then lost characters are marked, then NFKC with width and case, then script. Nothing is guessed.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

import numpy as np

from screening.errors import InputError
from screening.normalise import tables
from screening.types import CleanTurn

LOST = "\ufffd"
_BRACKETED = re.compile(r"[(（\[［【]([a-zāáǎàēéěèīíǐìōóǒòūúǔùüǖǘǚǜńňǹḿêề]{1,7})[)）\]］】]")
_LOST_RUN = re.compile("[?？]{2,}|[\ue000-\uf8ff]")
_TONED = re.compile("[āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜńňǹḿ]")
_SEPARATOR = ord("\n")
_SURROGATE = re.compile("[\ud800-\udfff]")


def without_readings(text: str) -> tuple[str, list[int]]:
    """Strip pinyin in brackets where it is a reading of the character before it, and mark the characters such damage lost.

    Returns the text and, for each of its characters, the index in the original. `你好(hao)吗`, `(ok)` and `价格(yuan)`
    stay: only an exact reading with its tone (or a toneless particle's) is taken for a gloss.
    """
    kept: list[int] = []
    readings = tables.readings()
    at = 0
    found = False
    for match in _BRACKETED.finditer(text):
        before = match.start() - 1
        if before >= at and match[1] in readings.get(text[before], ()) and (found or _TONED.search(match[1])):
            kept.extend(range(at, match.start()))
            at = match.end()
            found = True
    if not found:
        return text, list(range(len(text)))
    kept.extend(range(at, len(text)))
    stripped = "".join([text[i] for i in kept])
    return _LOST_RUN.sub(lambda run: LOST * len(run[0]), stripped), kept


def simplify(text: str) -> str:
    """Traditional to simplified script, equal to OpenCC's t2s; keeps the length."""
    out: list[str] = []
    at = 0
    while at < len(text):
        if text[at] in tables.PHRASE_STARTS:
            for size in range(min(tables.PHRASE_LONGEST, len(text) - at), 1, -1):
                phrase = tables.SCRIPT_PHRASES.get(text[at : at + size])
                if phrase is not None:
                    out.append(phrase)
                    at += size
                    break
            else:
                out.append(chr(tables.SCRIPT[ord(text[at])]))
                at += 1
        else:
            out.append(chr(tables.SCRIPT[ord(text[at])]))
            at += 1
    return "".join(out)


def clean_slowly(text: str) -> tuple[str, list[int]]:
    """The clean view character by character: (clean, origin). Every character of every text may go this way."""
    stripped, kept = without_readings(text) if _TONED.search(text) else (text, None)
    chars: list[str] = []
    origin: list[int] = []
    for i, char in enumerate(stripped):
        if tables.CLASS[ord(char)] & tables.DROPPED:
            continue
        at = i if kept is None else kept[i]
        expansion = tables.EXPANSIONS.get(char)
        if expansion is None:
            chars.append(char)
            origin.append(at)
        else:
            chars.extend(expansion)
            origin.extend([at] * len(expansion))
    formed = tables.WIDTH[tables.points("".join(chars))].tobytes().decode("utf-32-le")
    return simplify(formed), origin


class CleanBatch:
    """The clean views of many turns side by side, cut apart only where somebody asks.

    `joined` holds all clean texts, each followed by a line feed (inside a clean text there is none: control characters
    become spaces); turn `i` is `joined[starts[i]:starts[i + 1] - 1]`.
    """

    __slots__ = ("bits", "joined", "origins", "raw_starts", "starts", "texts")

    def __init__(self, texts: Sequence[str]):
        self.texts = texts
        raw = "\n".join(texts) + "\n"
        try:
            array = tables.points(raw)
        except UnicodeEncodeError:
            raise InputError(_surrogate_message(texts)) from None
        self.raw_starts = [0, *accumulate([len(text) + 1 for text in texts])]
        self.bits = tables.CLASS[array]
        formed = tables.FORM[array]
        formed[np.asarray(self.raw_starts[1:], dtype=np.int64) - 1] = _SEPARATOR
        self.joined: str = formed.tobytes().decode("utf-32-le")
        self.starts = self.raw_starts
        self.origins: dict[int, list[int]] = {}
        slow = np.flatnonzero(self.bits & tables.SLOW)
        if slow.size:
            self._respell(sorted({bisect_right(self.raw_starts, at) - 1 for at in slow.tolist()}))

    def _respell(self, turns: Sequence[int]) -> None:
        pieces: list[str] = []
        starts = list(self.raw_starts)
        lengths = [b - a for a, b in pairwise(starts)]
        at = 0
        for i in turns:
            clean, origin = clean_slowly(self.texts[i])
            pieces += (self.joined[at : self.raw_starts[i]], clean, "\n")
            at = self.raw_starts[i + 1]
            self.origins[i] = origin
            lengths[i] = len(clean) + 1
        pieces.append(self.joined[at:])
        self.joined = "".join(pieces)
        self.starts = [0, *accumulate(lengths)]

    def __len__(self) -> int:
        return len(self.texts)

    def clean(self, i: int) -> str:
        """The clean text of turn `i`."""
        return self.joined[self.starts[i] : self.starts[i + 1] - 1]

    def turn(self, i: int) -> CleanTurn:
        """Turn `i` with its way back to the original."""
        return CleanTurn(self.texts[i], self.clean(i), self.origins.get(i))

    def turns(self) -> Iterator[CleanTurn]:
        """All turns in order."""
        return map(self.turn, range(len(self.texts)))


def clean_text(text: str) -> CleanTurn:
    """The clean view of one text; lone surrogates raise `InputError`."""
    return CleanBatch([text]).turn(0)


def _surrogate_message(texts: Sequence[str]) -> str:
    for i, text in enumerate(texts):
        match = _SURROGATE.search(text)
        if match:
            return (
                f"text {i} holds a lone surrogate U+{ord(match[0]):04X} at character {match.start()}: half of a character was "
                "lost, most often by cutting or by writing UTF-16 as UTF-8; export the text again"
            )
    return "a text cannot be encoded"
