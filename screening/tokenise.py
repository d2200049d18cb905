"""Words with their places: jieba's dictionary, loaded at first need (about a second) into a tokenizer of our own.

Phrases match on characters; words only decide whether a hit is a whole word, whether a disguise is somebody's ordinary
word, and how a marking snaps to words. Without its HMM jieba depends on the dictionary alone and cuts the same everywhere.
"""

import logging
from functools import cache
from typing import Any, NamedTuple

from lexicons.cache import cache_folder


class Word(NamedTuple):
    """A word and its half-open place."""

    text: str
    start: int
    end: int


@cache
def _tokenizer() -> Any:
    import jieba  # noqa: PLC0415 - a second, only where there is a hit

    jieba.setLogLevel(logging.WARNING)
    tokenizer = jieba.Tokenizer()
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        tokenizer.tmp_dir = str(folder)
        tokenizer.cache_file = "jieba-0.42.1.cache"
    except OSError:
        tokenizer.tmp_dir = None  # no place to keep it: the dictionary is then read anew each time
    tokenizer.initialize()
    return tokenizer


def words(text: str) -> list[Word]:
    """The words of a text, left to right, without gaps."""
    return [Word(*token) for token in _tokenizer().tokenize(text, HMM=False)]


def frequency(word: str) -> int:
    """How often jieba's dictionary counted a word; 0 for what it does not hold."""
    return int(_tokenizer().FREQ.get(word) or 0)


def is_whole(text: str, start: int, end: int) -> bool:
    """Whether the range begins and ends where words begin and end."""
    edges = {0}
    for word in words(text):
        edges.add(word.start)
        edges.add(word.end)
    return start in edges and end in edges


@cache
def common_words(at_least: int) -> tuple[str, ...]:
    """Dictionary words counted at least so often, in a fixed order."""
    return tuple(sorted(word for word, count in _tokenizer().FREQ.items() if count >= at_least and len(word) > 1))
