"""What the linear tier sees of a turn: hashed character n-grams of the turn, its folded view and what stood before, and a few facts.

The hashes are computed over the joined texts of many turns at once; one turn gives the same hashes alone as among others
(K. Weinberger et al. 2009, feature hashing without signs).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from screening.normalise import tables
from screening.types import Role

BITS = 18
HASHED = 1 << BITS
CONTEXT = 4
FACTS = ("no context", "after customer", "after agent", "after bot", "after system")
_FEED = 10
_MIX = np.uint32(0x9E3779B1)
_SPREAD = 0x85EBCA6B


class Block(NamedTuple):
    """A text of the judged turn: n-grams up to `longest` characters, and how much they count before anything is learned."""

    name: str
    longest: int
    weight: float


BLOCKS = (Block("turn", 3, 1.0), Block("folded", 3, 0.5), Block("customer", 3, 0.7), Block("agent", 1, 0.4))
"""The judged turn clean; folded, where that differs; what the customer, and what the agent, said last before it."""


class TurnText(NamedTuple):
    """The texts of one judged turn, as `BLOCKS`, and its fact (an index into `FACTS`)."""

    blocks: tuple[str, ...]
    fact: int


def turn_text(roles: Sequence[Role], cleans: Sequence[str], i: int, folded: str) -> TurnText:
    """What is seen of turn `i` of a conversation in clean text, with up to `CONTEXT` turns before it."""
    before = range(max(0, i - CONTEXT), i)
    customer = next((cleans[j] for j in reversed(before) if roles[j] == "customer"), "")
    agent = next((cleans[j] for j in reversed(before) if roles[j] == "agent"), "")
    fact = FACTS.index(f"after {roles[i - 1]}" if i else "no context")
    return TurnText((cleans[i], "" if folded == cleans[i] else folded, customer, agent), fact)


def grams(texts: Sequence[str], block: int) -> Iterator[tuple[npt.NDArray[np.uint32], npt.NDArray[np.intp]]]:
    """For n = 1 to the block's longest: the hashed n-grams of all texts in order, and the number of the text each is from.

    A line feed stands for both edges of a text; empty texts have no n-grams.
    """
    points = tables.points("\n" + "".join(text + "\n" for text in texts))
    feed = points == _FEED
    text_of = np.cumsum(feed) - 1
    text_of[-1] = len(texts) - 1  # the last edge has no text of its own
    hashes = points + np.uint32(block * _SPREAD & 0xFFFFFFFF)
    crossed = np.zeros(points.size, dtype=bool)  # windows with a line feed inside: they would join two texts
    for size in range(1, BLOCKS[block].longest + 1):
        if size > 1:
            crossed = crossed[:-1] | feed[size - 2 : -1] if size > 2 else np.zeros(points.size - 1, dtype=bool)
            hashes = hashes[:-1] * _MIX + points[size - 1 :]
            last = feed[size - 1 :]
            whole = ~crossed & ~(feed[: last.size] & last)
        else:
            whole = ~feed
        at = np.flatnonzero(whole)
        mixed = (hashes[at] ^ np.uint32(size)) * np.uint32(_SPREAD)
        mixed ^= mixed >> np.uint32(15)
        yield (mixed * _MIX) >> np.uint32(32 - BITS), text_of[at]
