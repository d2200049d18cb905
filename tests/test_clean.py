import random
import unicodedata

import opencc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.errors import InputError
from screening.normalise import tables
from screening.normalise.clean import CleanBatch, clean_slowly, clean_text, simplify

CONVERTER = opencc.OpenCC("t2s")
# Passages in the damage seen in documents copied from preview sites; the words are ours.
DAMAGED = (
    "客戶服務(wù)人員應(yīng)當(dāng)遵守本規(guī)范,不得與(yǔ)客戶爭(zhēng)吵。",
    "質(zhì)量問題(tí)由售后處(chǔ)理,確??头私庖?guī)范與(yǔ)流程(chéng)。",
)


def test_readings_in_brackets_go_before_the_script_is_converted():
    turn = clean_text(DAMAGED[0])
    assert turn.clean == "客户服务人员应当遵守本规范,不得与客户争吵。"
    at = turn.clean.index("规范")
    assert turn.text[slice(*turn.span(at, at + 2))] == "規(guī)范"


def test_lost_characters_are_marked_and_never_guessed():
    clean = clean_text(DAMAGED[1]).clean
    assert "质量问题由售后处理,确\ufffd\ufffd头" in clean


@pytest.mark.parametrize("text", ["你好(hao)吗", "(ok)", "价格(yuan)", "真的??", "尺码(xl)", "请问??在吗"])
def test_ordinary_brackets_and_question_marks_stay(text):
    assert clean_text(text).clean == text


def test_every_clean_character_leads_back_to_its_original():
    for text in DAMAGED:
        turn = clean_text(text)
        assert turn.origin is not None
        for char, at in zip(turn.clean, turn.origin, strict=True):
            assert char == "\ufffd" or CONVERTER.convert(text[at]).casefold() == char


def test_width_case_circled_and_invisible_characters():
    turn = clean_text("ＶＸ①②\u200b加\u202e微⑩")
    assert turn.clean == "vx12加微10"
    assert turn.span(4, 6) == (5, 8)
    assert turn.span(6, 8) == (8, 9)


def test_control_characters_and_nul_become_spaces():
    assert clean_text("您\x00好\x07").clean == "您 好 "


def test_line_feeds_inside_a_turn_do_not_shift_its_neighbours():
    batch = CleanBatch(["第一行\n第二行", "", "㈱\n公司", "尾"])
    assert [t.clean for t in batch.turns()] == ["第一行 第二行", "", "(株) 公司", "尾"]


def test_a_lone_surrogate_is_refused_with_its_place():
    with pytest.raises(InputError, match=r"text 1 holds a lone surrogate U\+D83D at character 2"):
        CleanBatch(["您好", "您好\ud83d"])


def test_script_table_equals_opencc_on_every_phrase_and_character():
    for phrase in tables.SCRIPT_PHRASES:
        for text in (phrase, "於" + phrase + "裡"):
            assert simplify(text) == CONVERTER.convert(text)
    for point in range(0x3400, 0x30000):
        char = chr(point)
        if unicodedata.category(char) == "Lo" and not 0xF900 <= point <= 0xFAFF:
            assert simplify(char) == CONVERTER.convert(char), char


def test_both_paths_agree_with_opencc_on_random_mixtures():
    rng = random.Random(7)
    pool = "".join(tables.SCRIPT_PHRASES) + "您好請問這個商品什麼時候發貨謝謝麼于乾淨著裡"
    texts = ["".join(rng.choices(pool, k=rng.randint(1, 30))) for _ in range(2000)]
    for text, turn in zip(texts, CleanBatch(texts).turns(), strict=True):
        assert turn.clean == CONVERTER.convert(text) == clean_slowly(text)[0]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), max_size=8))
def test_a_batch_gives_what_each_text_gives_alone(texts):
    batch = CleanBatch(texts)
    for text, turn in zip(texts, batch.turns(), strict=True):
        assert turn.clean == clean_text(text).clean == clean_slowly(text)[0]
        origin = turn.origin if turn.origin is not None else range(len(text))
        assert len(origin) == len(turn.clean)
        assert all(0 <= at < len(text) for at in origin)
        assert list(origin) == sorted(origin)
