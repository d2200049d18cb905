"""A turn's text cut for display: at every boundary of a flag, and around characters that no reader can see.

Spans count Unicode code points, so they are cut here and never in the page: JavaScript counts UTF-16 units.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import msgspec

_SHORT = {
    0x00AD: "SHY",
    0x200B: "ZWSP",
    0x200C: "ZWNJ",
    0x200D: "ZWJ",
    0x200E: "LRM",
    0x200F: "RLM",
    0x202A: "LRE",
    0x202B: "RLE",
    0x202C: "PDF",
    0x202D: "LRO",
    0x202E: "RLO",
    0x2060: "WJ",
    0x2066: "LRI",
    0x2067: "RLI",
    0x2068: "FSI",
    0x2069: "PDI",
    0xFEFF: "BOM",
}
# Letters and marks by category, but nothing is drawn for them.
_BLANK = frozenset((0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0))
_INVISIBLE_CATEGORIES = frozenset(("Cc", "Cf", "Co", "Cs", "Zl", "Zp"))
_VARIATION = frozenset((*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))
_JOINER = "\u200d"
_EMOJI_STYLE = "\ufe0f"


class Run(msgspec.Struct, frozen=True):
    """Text to show. Where `title` is set, the text is one invisible character and `label` stands for it."""

    text: str
    label: str = ""
    title: str = ""


class Piece(msgspec.Struct, frozen=True):
    """A stretch of a turn under the same flags: their numbers in order of precedence, and those that end with it."""

    runs: tuple[Run, ...]
    flags: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()


class Mark(NamedTuple):
    """Where a flag lies in its turn."""

    number: int
    start: int
    end: int


def pieces(text: str, marks: Sequence[Mark]) -> tuple[Piece, ...]:
    """The text cut at every boundary of the marks; `marks` come in order of precedence, the deciding one first."""
    cuts = sorted({0, len(text), *(m.start for m in marks), *(m.end for m in marks)})
    found = []
    for start, end in pairwise(cuts):
        over = [m for m in marks if m.start <= start and end <= m.end]
        found.append(
            Piece(
                runs(text, start, end),
                tuple(m.number for m in over),
                tuple(sorted(m.number for m in over if m.end == end)),
            )
        )
    return tuple(found)


def runs(text: str, start: int = 0, end: int | None = None) -> tuple[Run, ...]:
    """A stretch of a text with its invisible characters apart; the text around the stretch decides what belongs to an emoji."""
    return tuple(_runs(text, start, len(text) if end is None else end))


def _runs(text: str, start: int, end: int) -> Iterator[Run]:
    seen = start
    for at in range(start, end):
        if not _invisible(text, at):
            continue
        if seen < at:
            yield Run(text[seen:at])
        code = ord(text[at])
        name = unicodedata.name(text[at], "")
        yield Run(text[at], _SHORT.get(code, f"U+{code:04X}"), f"U+{code:04X} {name}".rstrip())
        seen = at + 1
    if seen < end:
        yield Run(text[seen:end])


def visible(text: str) -> str:
    """The text as plain characters that are safe in a terminal: what cannot be seen stands as ‹label›."""
    return "".join(f"‹{run.label}›" if run.title else run.text for run in runs(text))


def _invisible(text: str, at: int) -> bool:
    character = text[at]
    if character.isascii():
        return not character.isprintable() and character not in "\n\t" and text[at : at + 2] != "\r\n"
    before = text[at - 1] if at else ""
    if character == _JOINER:
        after = text[at + 1 : at + 2]
        return not (_pictured(before) and _pictured(after))
    if ord(character) in _VARIATION:
        # After a picture, sign or digit it asks for colour; after a letter it only hides the word from a search.
        return not (character == _EMOJI_STYLE and before and not unicodedata.category(before).startswith("L"))
    return ord(character) in _BLANK or unicodedata.category(character) in _INVISIBLE_CATEGORIES


def _pictured(character: str) -> bool:
    # Cn: an emoji younger than Python's Unicode tables.
    return bool(character) and (character == _EMOJI_STYLE or unicodedata.category(character) in ("So", "Sk", "Cn"))
