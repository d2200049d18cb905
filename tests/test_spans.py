"""Every flag's span is exact in the original text, whatever was inserted between, before and after its characters."""

import opencc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screening.types import Conversation, Turn

TO_TRADITIONAL = opencc.OpenCC("s2t")
PLANTED = ("你就是个傻逼", "加我微信说", "我管不了", "你先听我说", "全网最低价", "删差评给你返现")
INVISIBLE = ("\u200b", "\u200d", "\ufeff", "\u2060", "\u202e", "\ufe0f")
BEFORE = st.text(alphabet="😀👍您好，。 \u200bＡ①🈶①\u3000", max_size=8)


def disguise(text: str, draw) -> str:
    if draw(st.booleans()):
        text = TO_TRADITIONAL.convert(text)
    out = []
    for char in text:
        out.append(char)
        if draw(st.integers(0, 3)) == 0:
            out.append(draw(st.sampled_from(INVISIBLE)))
    return "".join(out)


@given(st.data(), st.sampled_from(PLANTED), BEFORE, BEFORE)
@settings(max_examples=120, deadline=None)
def test_a_planted_phrase_is_quoted_where_it_was_planted(screener, data, phrase, before, after):
    planted = disguise(phrase, data.draw)
    text = before + planted + after
    screening = screener.screen(Conversation(id="c", turns=(Turn("customer", "在吗"), Turn("agent", text))))
    assert screening.flags, (phrase, text)
    for flag in screening.flags:
        assert flag.turn is not None and flag.start is not None and flag.end is not None
        assert flag.quote == text[flag.start : flag.end]
    start, end = len(before), len(before) + len(planted)
    assert any(flag.start < end and start < flag.end for flag in screening.flags)


@given(
    st.lists(st.tuples(st.sampled_from(["agent", "customer", "bot", "system"]), st.text(max_size=60)), min_size=1, max_size=12)
)
@settings(max_examples=150, deadline=None)
def test_any_text_gives_spans_inside_the_text(screener, turns):
    conversation = Conversation(id="c", turns=tuple(Turn(role, text) for role, text in turns))
    screening = screener.screen(conversation)
    for flag in screening.flags:
        if flag.turn is not None:
            text = conversation.turns[flag.turn].text
            assert 0 <= flag.start <= flag.end <= len(text)
            assert flag.quote == text[flag.start : flag.end]
            assert conversation.turns[flag.turn].role != "bot"
    keys = [(f.turn is None, f.turn or 0, f.start or 0, f.signal) for f in screening.flags]
    assert keys == sorted(keys)


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("您好😀你就是个傻.逼啊", "傻.逼"),
        ("你這個傻#逼", "傻#逼"),
        ("加、我、微、信", "微"),
        ("傻\u200b逼一个", "傻\u200b逼"),
        ("ＴＭＤ烦死了", "ＴＭＤ"),
    ],
)
def test_disguised_words_are_quoted_as_written(screener, text, quote):
    screening = screener.screen(Conversation(id="c", turns=(Turn("customer", "在吗"), Turn("agent", text))))
    assert any(quote in flag.quote for flag in screening.flags if flag.status == "active"), screening.flags
