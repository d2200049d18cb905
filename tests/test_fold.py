import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexicons.load import packaged
from screening.normalise import tables
from screening.normalise.fold import Folder, by_sound

FOLDER = Folder({"亻尔": "你", "女马": "妈", "❤": "心"})


@pytest.mark.parametrize(
    ("clean", "folded"),
    [
        ("加.微.信", "加微信"),
        ("亻尔好", "你好"),
        ("滚滚滚蛋", "滚蛋"),
        ("加加微微信信", "加微信"),
        ("微❤", "微心"),
        ("号是一三八零零一三八零零零", "号是13800138000"),
        ("买一送一", "买一送一"),
    ],
)
def test_folding(clean, folded):
    assert FOLDER.fold(clean).text == folded


@pytest.mark.parametrize(
    ("clean", "phrase", "disguised"),
    [
        ("加.我.微信", "加我微信", True),
        ("加，我，微，信", "加我微信", True),
        ("傻 逼", "傻逼", True),
        ("您加，我微信支付", "加我微信", False),
        ("加我微信", "加我微信", False),
        ("滚滚滚蛋", "滚蛋", True),
    ],
)
def test_ordinary_punctuation_is_no_disguise(clean, phrase, disguised):
    folded = FOLDER.fold(clean)
    at = folded.text.index(phrase)
    assert folded.disguised(at, at + len(phrase)) is disguised


@given(st.text(alphabet="加我微信亻尔女马❤ .,，。一二三〇abc123😀", max_size=40))
def test_every_folded_character_leads_back(clean):
    folded = FOLDER.fold(clean)
    assert len(folded.text) == len(folded.starts) == len(folded.ends)
    assert all(0 <= a < b <= len(clean) for a, b in zip(folded.starts, folded.ends, strict=True))
    assert list(folded.starts) == sorted(folded.starts)


def test_sound_folds_tones_and_the_pairs_that_writers_mix():
    assert by_sound("加威信") == by_sound("加微信") == by_sound("佳薇芯")
    assert by_sound("是四") == by_sound("四是")
    assert by_sound("abc,。") == "abc,。"


def test_every_packaged_writing_is_one_character_for_one_reading():
    for form, target in packaged().writings.items():
        assert len(target) == 1, form
        assert Folder({form: target}).fold(form).text == target


TURNS = st.lists(st.text(alphabet="加我微信滚马❤ .,，。、…一二三〇八九五abc123😀", max_size=24), min_size=1, max_size=6)


@given(TURNS)
def test_the_folded_texts_of_many_turns_are_those_of_each(turns):
    suspects = FOLDER.suspects(tables.points("\n" + "".join(turn + "\n" for turn in turns)), len(turns))
    assert list(suspects.texts) == [FOLDER.text(turns[i]) for i in suspects.turns]
    assert [FOLDER.fold(turns[i]).text for i in suspects.turns] == list(suspects.texts)


@given(TURNS)
def test_a_turn_is_a_suspect_alone_as_among_others(turns):
    many = FOLDER.suspects(
        tables.points(
            "\n" + "".join(turn + "\n" for turn in [*turns, "好" * 500]),
        ),
        len(turns) + 1,
    )
    for i, turn in enumerate(turns):
        alone = FOLDER.suspects(tables.points(f"\n{turn}\n"), 1)
        assert (i in many.turns) == (0 in alone.turns)
        assert many.disguised >> i & 1 == alone.disguised & 1


@given(TURNS)
def test_nothing_is_disguised_in_a_turn_that_is_no_suspect(turns):
    for turn in turns:
        if not FOLDER.suspects(tables.points(f"\n{turn}\n"), 1).turns and not any(form in turn for form in FOLDER.sequences):
            folded = FOLDER.fold(turn)
            ranges = np.ndindex(len(folded.text), len(folded.text) + 1)
            assert not any(folded.disguised(a, b) for a, b in ranges if a < b)
