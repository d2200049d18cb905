import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexicons.pattern import within_lines
from screening.detect.patterns import SlotPattern

PATTERNS = ("加[^,]{0,3}信", "^加|信$", "滚.{0,2}", "[^加信]滚", "加[^信].?", "[^]a]加")
TEXTS = st.lists(st.text(alphabet="加微信滚,]a", max_size=12), max_size=6)


@pytest.mark.parametrize("pattern", PATTERNS)
@given(TEXTS)
def test_many_texts_are_searched_as_each_alone(pattern, texts):
    slot = SlotPattern(pattern, {})
    alone = [(k, *match.span()) for k, text in enumerate(texts) for match in re.finditer(pattern, text)]
    assert slot.located(texts) == alone
    assert [slot.found(text) for text in texts] == [bool(slot.spans(text)) for text in texts]


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [
        ("[^,。]{0,8}", "[^\\n,。]{0,8}"),
        ("[,^]加", "[,^]加"),
        (r"\[^加", r"\[^加"),
        (r"[\]^]加[^]]", r"[\]^]加[^\n\]]"),
    ],
)
def test_negated_classes_stay_within_the_line(pattern, kept):
    assert within_lines(pattern) == kept


def test_places_count_characters_not_bytes():
    assert SlotPattern("信", {}).located(["😀加微信", "", "é信信"]) == [(0, 3, 4), (2, 1, 2), (2, 2, 3)]
