"""Lookup tables over all code points, unpacked once from the packaged data (about 20 ms, 10 MB).

`WIDTH[c]` is code point `c` after NFKC, width and lower case; `FORM[c]` is that in simplified script. `CLASS[c]` holds bits
that say what else a code point needs. All follow the committed data, never the running Python's Unicode version, so
that a screening replays on any interpreter.
"""

import hashlib
import json
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt

POINTS = 0x110000

SLOW = 1  # the turn needs the character-by-character path: expansion, dropped character, script phrase, reading
HAN = 4
DIGIT = 8
LATIN = 16
DROPPED = 32  # invisible: zero width, bidirectional control, variation selector, overlay mark
TONE = 64  # letter with a tone mark: a pinyin gloss may stand here
NUMERAL = 128  # digit or Chinese numeral

_DROPPED_RANGES = (
    (0x00AD, 0x00AD),
    (0x0300, 0x036F),
    (0x061C, 0x061C),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0x20D0, 0x20F0),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xE0000, 0xE01EF),
)
_CONTROL_RANGES = ((0x00, 0x1F), (0x7F, 0x9F))
_HAN_RANGES = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF), (0x3007, 0x3007))
NUMERALS = dict(zip("零〇一壹幺二贰两三叁四肆五伍六陆七柒八捌九玖", "0011122233445566778899", strict=True))
"""Chinese numerals that people spell telephone and account numbers with (after simplifying), to ASCII digits."""
_TONE_LETTERS = "āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜńňǹḿ"


DATA = Path(str(resources.files("screening.normalise"))) / "data"


def _text(name: str) -> str:
    return (DATA / name).read_text(encoding="utf-8")


def points(text: str) -> npt.NDArray[np.uint32]:
    """The code points of a text without lone surrogates."""
    return np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)


def _pairs(name: str) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    keys, values = _text(name).split("\n")[:2]
    return points(keys), points(values)


def _lines(name: str) -> dict[str, str]:
    return {key: value for key, _, value in (line.partition("\t") for line in _text(name).split("\n") if line)}


SCRIPT_PHRASES = _lines("script_phrases.tsv")
EXPANSIONS = _lines("form_expansions.tsv")


def _build() -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32], npt.NDArray[np.uint32], npt.NDArray[np.uint8]]:
    script = np.arange(POINTS, dtype=np.uint32)
    keys, values = _pairs("script_characters.txt")
    script[keys] = values
    width = np.arange(POINTS, dtype=np.uint32)
    keys, values = _pairs("form_characters.txt")
    width[keys] = values
    for low, high in _CONTROL_RANGES:
        width[low : high + 1] = ord(" ")
    form = script[width]

    bits = np.zeros(POINTS, dtype=np.uint8)
    for low, high in _HAN_RANGES:
        bits[low : high + 1] |= HAN
    for low, high in _DROPPED_RANGES:
        bits[low : high + 1] |= SLOW | DROPPED
    bits[points("".join(EXPANSIONS))] |= SLOW
    bits[points(_TONE_LETTERS)] |= SLOW | TONE
    bits[points(_phrase_marks(script))] |= SLOW
    bits[(form >= ord("a")) & (form <= ord("z"))] |= LATIN
    bits[(form >= ord("0")) & (form <= ord("9"))] |= DIGIT | NUMERAL
    bits[points("".join(NUMERALS))] |= NUMERAL
    return script, width, form, bits


def content_ranges() -> list[tuple[str, str]]:
    """First and last characters of the stretches of clean text's letters: Han, Latin, digits."""
    return [("a", "z"), ("0", "9"), *((chr(low), chr(high)) for low, high in _HAN_RANGES)]


def _phrase_marks(script: npt.NDArray[np.uint32]) -> str:
    """For each script phrase that differs from its characters one by one: its rarest character (a text without any is safe)."""
    rarity = json.loads(_text("char_surprisal.json"))
    marks = set()
    for source, target in SCRIPT_PHRASES.items():
        if "".join(chr(script[ord(c)]) for c in source) != target:
            marks.add(max(source, key=lambda c: (rarity.get(c, 99.0), c)))
    return "".join(sorted(marks))


SCRIPT, WIDTH, FORM, CLASS = _build()
PHRASE_LONGEST = max(map(len, SCRIPT_PHRASES))
PHRASE_STARTS = frozenset(key[0] for key in SCRIPT_PHRASES)


@cache
def readings() -> dict[str, frozenset[str]]:
    """Readings with tone marks per Han character (loaded at first need)."""
    return {char: frozenset(marks.split(",")) for char, marks in _lines("readings.tsv").items()}


@cache
def sound() -> npt.NDArray[np.uint32]:
    """Each simplified Han character to the commonest character of its (toneless, fuzzy) syllable; others to themselves."""
    table = np.arange(POINTS, dtype=np.uint32)
    keys, values = _pairs("sound_characters.txt")
    table[keys] = values
    return table


@cache
def surprisal() -> dict[str, float]:
    """-ln(share) of the 1,500 commonest characters in jieba's dictionary; a missing character is rarer than 9."""
    table: dict[str, float] = json.loads(_text("char_surprisal.json"))
    return table


@cache
def talk_surprisal() -> dict[str, float]:
    """-ln(share of turns) of characters and pairs of characters in our sample archive; a missing one is rarer than 5.5."""
    table: dict[str, float] = json.loads(_text("talk_surprisal.json"))
    return table


@cache
def version() -> str:
    """What the views depend on: the OpenCC and Unicode versions and a digest of the table files."""
    source = json.loads(_text("source.json"))
    digest = hashlib.sha256()
    for name in (
        "script_characters.txt",
        "script_phrases.tsv",
        "form_characters.txt",
        "form_expansions.tsv",
        "readings.tsv",
        "sound_characters.txt",
    ):
        digest.update(_text(name).encode())
    return f"opencc-{source['opencc']} unicode-{source['unicode']} sha256:{digest.hexdigest()[:16]}"
