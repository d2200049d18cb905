from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.features import BITS, BLOCKS, FACTS, HASHED, grams, turn_text

TEXTS = st.lists(st.text(alphabet="您好加微信滚 ,。?abc1😀𠀀", max_size=12), max_size=6)
WORD = 0xFFFFFFFF


def of_each(texts, block):
    """Per text its hashes by length of the n-grams."""
    found = [[] for _ in texts]
    for hashes, text_of in grams(texts, block):
        assert hashes.size == text_of.size and np.all(np.diff(text_of) >= 0)
        assert not hashes.size or hashes.max() < HASHED
        for own in found:
            own.append([])
        for hash_, number in zip(hashes.tolist(), text_of.tolist(), strict=True):
            found[number][-1].append(hash_)
    return found


def slowly(text, block):
    """The same, one character after the other."""
    edged = f"\n{text}\n" if text else ""
    found = []
    for size in range(1, BLOCKS[block].longest + 1):
        parts = [edged[i : i + size] for i in range(len(edged) - size + 1)]
        found.append([_hash(part, block) for part in parts if not (part[0] == "\n" == part[-1])])
    return found


def _hash(gram, block):
    mixed = (ord(gram[0]) + block * 0x85EBCA6B) & WORD
    for char in gram[1:]:
        mixed = (mixed * 0x9E3779B1 + ord(char)) & WORD
    mixed = ((mixed ^ len(gram)) * 0x85EBCA6B) & WORD
    mixed ^= mixed >> 15
    return ((mixed * 0x9E3779B1) & WORD) >> (32 - BITS)


@given(TEXTS, st.sampled_from(range(len(BLOCKS))))
def test_hashes_are_those_of_a_slow_reference(texts, block):
    assert of_each(texts, block) == [slowly(text, block) for text in texts]


@given(TEXTS, st.sampled_from(range(len(BLOCKS))))
def test_a_text_has_the_same_hashes_alone_as_among_others(texts, block):
    assert of_each(texts, block) == [of_each([text], block)[0] for text in texts]


@given(TEXTS)
def test_no_n_gram_joins_two_texts(texts):
    """Counted: k characters with their edges have k + 3 - n of n, less the one that is the whole text between both edges."""
    for n, (hashes, _) in enumerate(grams(texts, 0), 1):
        counts = (max(0, len(text) + 3 - n) - (n == len(text) + 2) if n > 1 else len(text) for text in texts if text)
        assert hashes.size == sum(counts)


def test_blocks_and_lengths_do_not_share_hashes():
    texts = ["您好，请问有什么可以帮您", "滚"]
    sets = {(b, n): set(h.tolist()) for b in range(len(BLOCKS)) for n, (h, _) in enumerate(grams(texts, b), 1)}
    shared = [one & other for (a, one), (b, other) in product(sets.items(), repeat=2) if a < b]
    assert sum(map(len, shared)) <= 2  # two of some hundred by chance


def test_nothing_to_read_gives_nothing():
    assert [hashes.size for hashes, _ in grams([], 0)] == [0] * BLOCKS[0].longest
    assert [hashes.size for hashes, _ in grams(["", ""], 0)] == [0] * BLOCKS[0].longest


ROLES = ["customer", "agent", "bot", "customer", "agent", "agent"]
CLEANS = ["一", "二", "三", "四", "五", "六"]


@pytest.mark.parametrize(
    ("i", "customer", "agent", "fact"),
    [
        (0, "", "", "no context"),
        (1, "一", "", "after customer"),
        (3, "一", "二", "after bot"),
        (5, "四", "五", "after agent"),
    ],
)
def test_what_stood_before_a_turn(i, customer, agent, fact):
    seen = turn_text(ROLES, CLEANS, i, CLEANS[i])
    assert seen.blocks == (CLEANS[i], "", customer, agent)
    assert FACTS[seen.fact] == fact


def test_the_folded_view_counts_only_where_it_differs():
    assert turn_text(["agent"], ["加.微"], 0, "加微").blocks[1] == "加微"
    assert turn_text(["agent"], ["加微"], 0, "加微").blocks[1] == ""


def test_what_lies_further_back_than_four_turns_is_not_seen():
    roles = ["customer", *["agent"] * 5]
    assert turn_text(roles, list("客一二三四五"), 5, "五").blocks == ("五", "", "", "四")
    assert turn_text(roles[:5], list("客一二三四"), 4, "四").blocks[2] == "客"
