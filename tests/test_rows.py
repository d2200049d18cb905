from itertools import compress
from random import Random

import numpy as np
import pytest

from lexicons.load import packaged
from models.augment import Marked
from models.dataset import DATA, Example
from models.rows import SIGNALS, LabelledTurn, changed, labelled, other_forms, row, unlabelled
from screening.evaluate import read
from tests.tiny import example, row_maker

MAKER = row_maker(
    ["您好加我微信便宜一百傻逼货快递查到了这种智商还敢买笔电充线插反吧", "，。"], ["微信", "便宜", "智商", "这种智商"]
)
FORMS = other_forms(packaged().writings)


def words(turn: LabelledTurn, signal: str) -> list[str]:
    """The characters that the marked tokens of a turn's row cover."""
    own = row(turn, MAKER)
    (window,) = MAKER.rows(turn.roles, [*turn.context, "".join(turn.turn.chars)], len(turn.context))
    assert own.ids == window.ids and own.marked.shape == (own.turn, len(SIGNALS))
    places = compress(window.places, own.marked[:, SIGNALS.index(signal)])
    return ["".join(turn.turn.chars[start:end]) for start, end in places]


def test_the_tokens_of_the_quoted_words_are_marked_and_no_others():
    turn = labelled(
        example(("customer", "在吗"), ("agent", "充线插反了吧,这种智商还敢买"), labels=[("rudeness.abuse", "这种智商还敢买")])
    )
    assert words(turn, "rudeness.abuse") == ["这种智商", "还", "敢", "买"]
    assert words(turn, "rudeness.threat") == []
    own = row(turn, MAKER)
    assert list(compress(SIGNALS, own.shows)) == ["rudeness.abuse"]
    assert own.marked.sum() == 4 and own.marked.dtype == own.shows.dtype == np.float32


def test_words_of_two_signals_are_told_apart():
    turn = labelled(
        example(
            ("agent", "加我微信,便宜一百,傻逼"),
            labels=[("diversion.private_contact", "加我微信"), ("rudeness.abuse", "傻逼")],
        )
    )
    assert words(turn, "diversion.private_contact") == ["加", "我", "微信"]
    assert words(turn, "rudeness.abuse") == ["傻", "逼"]


def test_a_token_that_a_quote_cuts_is_marked():
    turn = labelled(example(("agent", "这种智商"), labels=[("rudeness.abuse", "智商")]))
    assert words(turn, "rudeness.abuse") == ["这种智商"]


def test_text_is_cleaned_before_it_is_marked():
    turn = labelled(
        example(
            ("customer", "便宜點"), ("agent", "加\u200b我ＷＸ，便宜"), labels=[("diversion.private_contact", "加\u200b我ＷＸ")]
        )
    )
    assert turn.context == ("便宜点",)
    assert "".join(turn.turn.chars) == "加我wx,便宜"
    assert [mark > 0 for mark in turn.turn.marks] == [True] * 4 + [False] * 3


def test_words_that_normalising_took_apart_mark_the_whole_turn():
    gloss = "你(nǐ)好(hǎo)"
    turn = labelled(example(("agent", gloss), labels=[("shirking", "(nǐ)好")]))
    assert "".join(turn.turn.chars) == "你好" and turn.turn.marks == [turn.shows] * 2


def test_what_no_words_show_is_shown_by_nothing():
    turn = labelled(example(("customer", "在吗"), ("agent", "您好")))
    assert turn.shows == 0 and not any(turn.turn.marks)
    assert not row(turn, MAKER).shows.any()


@pytest.mark.parametrize("at", [0, 60, 130])
def test_of_a_long_turn_the_window_with_most_marked_words_is_taken(at):
    text = "货" * at + "傻逼" + "货" * (130 - at)
    turn = labelled(example(("agent", text), labels=[("rudeness.abuse", "傻逼")]))
    own = row(turn, MAKER)
    assert own.marked[:, SIGNALS.index("rudeness.abuse")].sum() == 2
    assert own.shows[SIGNALS.index("rudeness.abuse")] == 1


def test_the_agents_turns_before_it_come_without_labels():
    turn = labelled(
        example(
            *(
                ("agent", "您好"),
                ("customer", "便宜吗"),
                ("bot", "查到了"),
                ("agent", "\u200b"),
                ("agent", "便宜"),
                ("agent", "傻逼"),
            ),
            labels=[("rudeness.abuse", "傻逼")],
        )
    )
    around = unlabelled(turn)
    assert ["".join(own.turn.chars) for own in around] == ["您好", "便宜"]
    assert [own.context for own in around] == [(), ("您好", "便宜吗", "查到了", "")]
    assert [own.roles for own in around] == [turn.roles[:1], turn.roles[:5]]
    assert not any(own.shows or any(own.turn.marks) for own in around)


def test_the_share_of_turns_that_are_changed():
    turn = labelled(example(("agent", "加我微信便宜一百"), labels=[("diversion.private_contact", "加我微信")]))
    assert all(changed(turn, 0.0, Random(seed), FORMS) is turn for seed in range(50))
    others = [changed(turn, 1.0, Random(seed), FORMS) for seed in range(200)]
    assert sum(other.turn != turn.turn for other in others) > 80
    assert all(other._replace(turn=turn.turn) == turn for other in others)
    assert sum(changed(turn, 0.3, Random(seed), FORMS) is not turn for seed in range(500)) == pytest.approx(150, abs=40)


def test_a_turn_without_characters_is_left_as_it_is():
    turn = LabelledTurn("x", ("agent",), (), Marked([], []), 0)
    assert changed(turn, 1.0, Random(0), FORMS) is turn


def test_other_writings_are_those_of_one_character():
    assert other_forms({"女马": "妈", "亻尔": "你", "〇": "零", "妳": "你", "v信": "微信"}) == {
        "妈": ("女马",),
        "你": ("亻尔", "妳"),
        "零": ("〇",),
    }


def test_every_label_of_a_brief_leads_to_marked_tokens():
    """Also augmented, and where the turn is in traditional script, glossed or full of signs."""
    random = Random(0)
    for record in read(DATA / "b05.jsonl")[0][::4]:
        turn = labelled(Example(record, "b05", None))
        for own in (row(turn, MAKER), row(changed(turn, 1.0, random, FORMS), MAKER)):
            assert {*compress(SIGNALS, own.shows)} == {label.signal for label in record.labels}
            assert np.array_equal(own.marked.any(axis=0), own.shows > 0)
