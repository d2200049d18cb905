"""The folded view: what a reader sees through the disguise, with the way back to the clean view.

Folding undoes written disguises (split characters, emoji and symbols for characters, separators between characters,
repeated characters, Chinese numerals in numbers). It floods when taken at its word - ordinary punctuation is a separator,
too - so a match in this view counts only when `Folded.disguised` says that somebody took the trouble.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from screening.normalise import tables
from screening.normalise.clean import CleanBatch
from screening.normalise.pinyin import LETTERS, LETTERS_LEAST, Heard, PinyinReader, plain

_NATURAL = frozenset(" ，。！？；：、,!?;:…~～—“”\"'()（）[]【】《》<>")
_NUMBER_LENGTH = 6
_NUMBER = re.compile(f"[0-9{''.join(tables.NUMERALS)}]{{{_NUMBER_LENGTH},}}")
_REPEAT = re.compile(r"([\u3400-\u9fff])\1+")


class Folded:
    """The folded text of one turn; folded character `i` stands for clean range [`starts[i]`, `ends[i]`)."""

    __slots__ = ("clean", "ends", "starts", "text", "written")

    def __init__(self, clean: str, text: str, starts: Sequence[int], ends: Sequence[int], written: frozenset[int]):
        self.clean = clean
        self.text = text
        self.starts = starts
        self.ends = ends
        self.written = written

    def disguised(self, start: int, end: int) -> bool:
        """Whether the folded range differs from the clean text by more than ordinary punctuation would.

        A character written otherwise, a repeated one, or a separator that does not belong between Han characters is a
        disguise at once; ordinary punctuation only where it stands in every gap of the range and cuts single characters.
        """
        if any(start <= at < end for at in self.written):
            return True
        gaps = [self.clean[self.ends[i] : self.starts[i + 1]] for i in range(start, end - 1)]
        filled = [gap for gap in gaps if gap]
        if not filled:
            return False
        if all(gap == " " for gap in filled):
            return len(filled) == len(gaps) or len(filled) >= 2
        if any(char not in _NATURAL for gap in filled for char in gap):
            return True
        return len(gaps) >= 2 and len(filled) == len(gaps)


_Piece: TypeAlias = tuple[str, int, int, bool]
"""A folded character, the clean range it stands for, and whether it is written otherwise there."""

_SPELLED = re.compile(f"(?:[{LETTERS}][ '’.·*-]?){{{LETTERS_LEAST}}}")
_GLOSS = re.compile(f"([\u3400-\u9fff])\\(([{LETTERS}]{{1,6}}|[\u3400-\u9fff])\\)|(?<![a-z])[a-z]\\(([\u3400-\u9fff])\\)")


def _glossed(clean: str) -> list[Heard]:
    """Characters followed by their own reading in brackets, 淘(tao), or by what is meant, 威(微) and v(微)."""
    found = []
    for match in _GLOSS.finditer(clean):
        char, gloss, meant = match.groups()
        if meant:
            found.append(Heard(match.start(), match.end(), meant))
        elif len(gloss) == 1 and gloss >= "\u3400":
            if sound_points(tables.points(char)) == sound_points(tables.points(gloss)):
                found.append(Heard(match.start(), match.end(), gloss))
        elif plain(gloss) in {plain(reading) for reading in tables.readings().get(char, ())}:
            found.append(Heard(match.start(), match.end(), char))
    return found


class Suspects(NamedTuple):
    """Turns that may hold a disguise, their compacted texts joined, and (bits) the turns where one shows for certain.

    It shows where a character is written otherwise, where anything but ordinary punctuation or a space stands between
    characters, and in repeats that no ordinary word has.
    """

    turns: Sequence[int]
    texts: Sequence[str]
    """Their folded texts, where no form of several characters stands in them."""
    compacted: npt.NDArray[np.uint32]
    disguised: int
    spelled: Sequence[int]
    """Turns with letters enough for pinyin, or with a bracket behind a character."""


class Folder:
    """Folds with one lexicon's writings (`lexicons/variants/writings`): each form is read as its target character."""

    def __init__(self, writings: Mapping[str, str], reader: Callable[[], PinyinReader] = lambda: PinyinReader(())):
        self._reader = reader
        forms = CleanBatch(tuple(writings))
        self._writings = {forms.clean(i): to for i, to in enumerate(writings.values())}
        self._singles = str.maketrans({form: to for form, to in self._writings.items() if len(form) == 1})
        self.sequences = tuple(sorted(form for form in self._writings if len(form) > 1))
        self._table = np.arange(tables.POINTS, dtype=np.uint32)
        for form, to in self._writings.items():
            if len(form) == len(to) == 1:
                self._table[ord(form)] = ord(to)

    # Compiled when first asked: together they take longer than a short file.

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return _any_of(self._writings)

    @cached_property
    def _sequence(self) -> re.Pattern[str]:
        return _any_of(self.sequences)

    @cached_property
    def _maybe(self) -> re.Pattern[str]:
        return _maybe_disguised(form for form in self._writings if len(form) == 1)

    def compact(self, points: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
        """A joined text (a line feed before and after each turn), single writings and numbers read, separators and repeats gone.

        It says where folding may find something, for the price of a few array operations; `fold` says what and where.
        """
        points = self._table[points]
        points = points[_KIND[points] & (_CONTENT | _FEED) > 0]
        _read_numbers(points)
        return points[~_repeated(points)]

    def suspects(self, points: npt.NDArray[np.uint32], turns: int) -> "Suspects":
        """The turns of a joined text in which `Folded.disguised` could hold anywhere.

        Forms of several characters are not looked for.
        """
        if points.size < _SHORT and not self._maybe.search(points.tobytes().decode("utf-32-le")):
            return Suspects((), (), points[:0], 0, ())
        mapped = self._table[points]
        kinds = _KIND[mapped]
        turn_of = np.cumsum(kinds == _FEED) - 1
        kept = np.flatnonzero(kinds & (_CONTENT | _FEED))
        text = mapped[kept]
        apart = kept[1:] - kept[:-1] - 1
        apart[(text[1:] == _LINE_FEED) | (text[:-1] == _LINE_FEED)] = 0
        repeated = _repeated(text)
        read = _read_numbers(text)
        evidence = repeated
        evidence[read] = True
        evidence[1:] |= (apart == 1) & (points[kept[1:] - 1] == _SPACE)
        evidence[2:] |= (apart[1:] > 0) & (apart[:-1] > 0)
        suspect = np.zeros(turns + 1, dtype=bool)
        suspect[turn_of[kept[evidence]]] = True
        odd = np.flatnonzero(kinds == 0)
        written = np.flatnonzero(mapped != points)
        suspect[turn_of[odd]] = True
        suspect[turn_of[written]] = True
        suspect[turns] = True  # the last line feed
        letters = np.bincount(turn_of[kinds & _LETTER > 0], minlength=turns) >= LETTERS_LEAST
        letters[turn_of[1:][(points[1:] == _BRACKET) & (kinds[:-1] & (_HAN | _LETTER) > 0)]] = True
        spelled = np.flatnonzero(letters).tolist()
        if np.count_nonzero(suspect) == 1:
            return Suspects((), (), text[:0], 0, spelled)
        disguised = np.zeros(turns + 1, dtype=bool)
        disguised[turn_of[written]] = True
        disguised[turn_of[_separating(odd, kept, text)]] = True
        disguised[turn_of[_stuttered(points)]] = True
        text = text[suspect[turn_of[kept]]]
        texts = _texts(mapped[suspect[turn_of]], kinds[suspect[turn_of]])
        bits = int.from_bytes(np.packbits(disguised[:-1], bitorder="little").tobytes(), "little")
        return Suspects(np.flatnonzero(suspect[:-1]).tolist(), texts, text[~_repeated(text)], bits, spelled)

    def text(self, clean: str) -> str:
        """The text of the folded view, without the way back."""
        if self._heard(clean) or _glossed(clean):
            return self.fold(clean).text
        if self._sequence.search(clean):
            text = self._pattern.sub(lambda form: self._writings[form[0]], clean)
        else:
            text = clean.translate(self._singles)
        text = _NOT_CONTENT.sub(_unless_separator, text)
        text = _NUMBER.sub(lambda number: number[0].translate(_NUMERALS), text)
        return _REPEAT.sub("\\1", text)

    def fold(self, clean: str) -> Folded:
        """The folded view of a clean text."""
        pieces: list[_Piece] = []
        at = 0
        for start, end, char in sorted([*self._heard(clean), *_glossed(clean)]):
            if start >= at:
                pieces += self._written(clean, at, start)
                pieces.append((char, start, end, True))
                at = end
        pieces += self._written(clean, at, len(clean))
        pieces = _without_separators(pieces)
        pieces = _with_digits(pieces)
        return _collapsed(clean, pieces)

    def _written(self, clean: str, at: int, stop: int) -> list[_Piece]:
        pieces: list[_Piece] = []
        for match in self._pattern.finditer(clean, at, stop):
            pieces += [(char, i, i + 1, False) for i, char in enumerate(clean[at : match.start()], at)]
            pieces.append((self._writings[match[0]], match.start(), match.end(), True))
            at = match.end()
        return pieces + [(char, i, i + 1, False) for i, char in enumerate(clean[at:stop], at)]

    def reads(self, clean: str) -> bool:
        """Whether the folded view of a clean text reads pinyin or a gloss in brackets."""
        return bool(_glossed(clean) or self._heard(clean))

    def _heard(self, clean: str) -> Sequence[Heard]:
        return self._reader().heard(clean) if _SPELLED.search(clean) else ()


_LINE_FEED = ord("\n")
_SPACE = ord(" ")
_LAST_LATIN = 0x24F
_BRACKET = ord("(")
_CONTENT, _NUMERAL, _FEED, _ORDINARY, _HAN, _LETTER = 1, 2, 4, 8, 16, 32


def _kinds() -> npt.NDArray[np.uint8]:
    kinds = (tables.CLASS & (tables.HAN | tables.LATIN | tables.DIGIT) > 0).astype(np.uint8) * np.uint8(_CONTENT)
    kinds[tables.CLASS & tables.NUMERAL > 0] |= _NUMERAL
    kinds[tables.points("".join(sorted(_NATURAL)))] = _ORDINARY
    kinds[tables.CLASS & (tables.LATIN | tables.TONE) > 0] |= _LETTER
    kinds[_LINE_FEED] = _FEED
    kinds[0x3400:0xA000] |= _HAN  # as in _REPEAT
    return kinds


_KIND = _kinds()
_NUMERALS = str.maketrans(tables.NUMERALS)
_NOT_CONTENT = re.compile("[^{}]+".format("".join(f"{low}-{high}" for low, high in tables.content_ranges())))
_SHORT = 400  # code points; up to there one search is faster than the array operations
_SEPARATOR_LONGEST = 4
_SEPARATOR_REACH = 3


def _texts(points: npt.NDArray[np.uint32], kinds: npt.NDArray[np.uint8]) -> list[str]:
    """What `Folder.text` makes of each turn of a joined text whose single writings are read and that has no others."""
    stands = kinds & (_CONTENT | _FEED) > 0
    kept = np.flatnonzero(stands)
    apart = kept[1:] - kept[:-1] - 1
    at_edge = (kinds[kept[1:]] | kinds[kept[:-1]]) & _FEED > 0
    between = np.flatnonzero(~stands)
    stands[between] = (at_edge | (apart > _SEPARATOR_LONGEST))[np.searchsorted(kept, between) - 1]
    folded = points[stands]
    _read_numbers(folded)
    repeated = _repeated(folded)
    folded = folded[~(repeated & (_KIND[folded] & _HAN > 0))]
    return folded.tobytes().decode("utf-32-le").split("\n")[1:-1]


def _unless_separator(run: re.Match[str]) -> str:
    """Nothing for a short run between two characters; other runs stay."""
    inside = run.start() > 0 and run.end() < len(run.string)
    return "" if inside and run.end() - run.start() <= _SEPARATOR_LONGEST else run[0]


def _any_of(forms: Iterable[str]) -> re.Pattern[str]:
    """The longest of the forms that begins at a place; alternatives are grouped by their first character, for speed."""
    tails: dict[str, list[str]] = {}
    for form in forms:
        tails.setdefault(form[0], []).append(form[1:])
    if not tails:
        return re.compile("(?!)")
    groups = (
        f"{re.escape(first)}(?:{'|'.join(map(re.escape, sorted(rest, key=lambda tail: (-len(tail), tail))))})"
        for first, rest in sorted(tails.items())
    )
    return re.compile(f"(?=[{''.join(map(re.escape, sorted(tails)))}])(?:{'|'.join(groups)})")


def _maybe_disguised(singles: Iterable[str]) -> re.Pattern[str]:
    """Finds something wherever `Folder.suspects` would, and seldom else."""
    content = "".join(f"{low}-{high}" for low, high in tables.content_ranges())
    natural = "".join(map(re.escape, sorted(_NATURAL)))
    odd = f"[^{content}{natural}\n]"
    spaced = f"[{content}] [{content}]"
    alone = f"[{content}][{natural}]+[{content}][{natural}]+[{content}]"
    repeated = f"([{content}])[{natural}]*(?<![a-z0-9])(?<![a-z0-9][{natural}])\\1"
    number = f"(?:[0-9{''.join(tables.NUMERALS)}][{natural}]*){{{_NUMBER_LENGTH}}}"
    written = "".join(map(re.escape, sorted(singles)))
    spelled = f"{_SPELLED.pattern}|[a-z\u3400-\u9fff]\\("
    return re.compile("|".join([odd, spelled, spaced, alone, repeated, number, *([f"[{written}]"] if written else [])]))


def _separating(odd: npt.NDArray[np.intp], kept: npt.NDArray[np.intp], text: npt.NDArray[np.uint32]) -> npt.NDArray[np.intp]:
    """Of the odd places those between two characters that are near on both sides; `kept` are the places of `text`."""
    after = np.searchsorted(kept, odd)
    near = (kept[after] - odd <= _SEPARATOR_REACH + 1) & (odd - kept[after - 1] <= _SEPARATOR_REACH + 1)
    near &= (text[after] != _LINE_FEED) & (text[after - 1] != _LINE_FEED)
    return np.compress(near, odd)


def _stuttered(points: npt.NDArray[np.uint32]) -> npt.NDArray[np.intp]:
    """Places where a character stands three times, or two are doubled one after the other."""
    doubled = _repeated(points) & (_KIND[points] & _CONTENT > 0)
    return np.flatnonzero(doubled[2:] & doubled[1:-1] | np.append(doubled[3:] & doubled[1:-2], False)) + 1


def _repeated(points: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
    again = np.zeros(points.size, dtype=bool)
    again[1:] = (points[1:] == points[:-1]) & (points[1:] > _LAST_LATIN)
    return again


def _read_numbers(points: npt.NDArray[np.uint32]) -> list[int]:
    """Read Chinese numerals in long numbers as digits, in place; the places where such numbers begin."""
    numeral = _KIND[points] & _NUMERAL
    edges = np.flatnonzero(numeral[1:] != numeral[:-1]) + 1  # a line feed at both ends is none
    found = []
    for k in np.flatnonzero(edges[1::2] - edges[::2] >= _NUMBER_LENGTH).tolist():
        first, end = int(edges[2 * k]), int(edges[2 * k + 1])
        number = "".join(map(chr, points[first:end]))
        digits = number.translate(_NUMERALS)
        if digits != number:
            points[first:end] = tables.points(digits)
            found.append(first)
    return found


def _is_content(char: str) -> bool:
    return bool(_KIND[ord(char)] & _CONTENT)


def _without_separators(pieces: list[_Piece]) -> list[_Piece]:
    kept: list[_Piece] = []
    waiting: list[_Piece] = []
    for piece in pieces:
        if not _is_content(piece[0]):
            waiting.append(piece)
            continue
        if len(waiting) > 4 or not kept:
            kept += waiting
        waiting = []
        kept.append(piece)
    return kept + waiting


def _with_digits(pieces: list[_Piece]) -> list[_Piece]:
    for match in _NUMBER.finditer("".join(piece[0] for piece in pieces)):
        for i in range(*match.span()):
            char, start, end, written = pieces[i]
            digit = tables.NUMERALS.get(char)
            pieces[i] = (digit or char, start, end, written or digit is not None)
    return pieces


def _collapsed(clean: str, pieces: list[_Piece]) -> Folded:
    text = "".join(piece[0] for piece in pieces)
    drop: set[int] = set()
    written = {i for i, piece in enumerate(pieces) if piece[3]}
    for match in _REPEAT.finditer(text):
        drop.update(range(match.start() + 1, match.end()))
        written.add(match.start())
    kept = [i for i in range(len(pieces)) if i not in drop]
    ends = [pieces[next_i - 1][2] for next_i in [*kept[1:], len(pieces)]] if drop else [pieces[i][2] for i in kept]
    # a repeated character ends where its last copy ends; separators between two characters belong to neither
    return Folded(
        clean,
        "".join(text[i] for i in kept),
        [pieces[i][1] for i in kept],
        ends,
        frozenset(k for k, i in enumerate(kept) if i in written),
    )


def by_sound(clean: str) -> str:
    """Each Han character replaced by the commonest one of its syllable (tones and zh/z, ch/c, sh/s, -ng/-n fall together)."""
    return sound_points(tables.points(clean)).tobytes().decode("utf-32-le")


def sound_points(points: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """`by_sound` over code points."""
    return tables.sound()[points]
