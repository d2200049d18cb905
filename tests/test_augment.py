from random import Random

import opencc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexicons.load import packaged
from models import augment as module
from models.augment import KINDS, Marked, augment
from models.dataset import DATA
from models.rows import other_forms
from screening.evaluate import read
from screening.normalise import tables
from screening.normalise.clean import clean_text

FORMS = other_forms(packaged().writings)
CLEAN = st.text(alphabet="您好加微信滚蛋傻发货的是,。?!~ ab1😀", min_size=1, max_size=30).map(lambda text: clean_text(text).clean)
KIND = st.sampled_from(KINDS)


def numbered(text):
    """Each character with a mark of its own."""
    return Marked(list(text), [1 << i for i in range(len(text))])


def meant(char):
    """What a writing may stand for: itself, its sound, what the lexicon knows."""
    return {char, *(other for form in FORMS.get(char, ()) for other in form)}


def same_sound(one, other):
    sound = tables.sound()
    return sound[ord(one)] == sound[ord(other)]


@given(CLEAN, KIND, st.randoms(use_true_random=False))
def test_marks_stay_with_their_characters(text, kind, random):
    out = augment(numbered(text), kind, random, FORMS)
    assert len(out.chars) == len(out.marks) > 0
    added = {*module._SEPARATORS, *"".join(module._FILLERS), *" ~,。"}
    for char, mark in zip(out.chars, out.marks, strict=True):
        own = text[mark.bit_length() - 1]
        assert mark.bit_count() == 1 and len(char) == 1
        assert char in meant(own) or char in added or same_sound(char, own)


@given(CLEAN, KIND, st.integers(0, 9))
def test_the_same_seed_writes_the_same_and_nothing_given_is_changed(text, kind, seed):
    turn = numbered(text)
    first = augment(turn, kind, Random(seed), FORMS)
    assert first == augment(turn, kind, Random(seed), FORMS)
    assert turn == numbered(text)


@given(CLEAN, st.integers(0, 9))
def test_disguises_leave_what_is_not_marked_alone_in_a_marked_turn(text, seed):
    marks = [int(i % 3 == 0) for i in range(len(text))]
    out = augment(Marked(list(text), marks), "disguise", Random(seed), FORMS)
    assert [c for c, m in zip(out.chars, out.marks, strict=True) if not m] == [
        c for c, m in zip(text, marks, strict=True) if not m
    ]


def test_disguises_come_to_unmarked_turns_as_often_as_to_marked_ones():
    text = "您好这边帮您查一下物流请稍等"
    plain, marked = Marked(list(text), [0] * len(text)), Marked(list(text), [0] * 3 + [1] * 8 + [0] * (len(text) - 11))
    changed = {}
    for name, turn in (("plain", plain), ("marked", marked)):
        changed[name] = sum(augment(turn, "disguise", Random(seed), FORMS).chars != turn.chars for seed in range(300))
    assert min(changed.values()) > 240
    assert abs(changed["plain"] - changed["marked"]) < 45
    assert not any(any(augment(plain, "disguise", Random(seed), FORMS).marks) for seed in range(50))


def test_disguises_take_apart_or_rewrite():
    turn = Marked(list("加我微信"), [1] * 4)
    written = {"".join(augment(turn, "disguise", Random(seed), FORMS).chars) for seed in range(300)}
    assert {"加.我.微.信", "加❤我❤微❤信"} <= written
    assert any(len(text) == 4 and text != "加我微信" and same_sound(text[2], "微") for text in written)


def test_speech_has_no_punctuation_and_haste_keeps_most_characters():
    text = "您好，这边帮您查一下。请稍等！"
    clean = clean_text(text).clean
    for seed in range(30):
        spoken = augment(numbered(clean), "asr", Random(seed), FORMS)
        assert not module._PUNCTUATION & {*spoken.chars}
        hurried = augment(numbered(clean), "typing", Random(seed), FORMS)
        assert len({*numbered(clean).marks} & {*hurried.marks}) >= len(clean) - 3


def test_a_turn_of_signs_alone_is_not_emptied():
    for kind in KINDS:
        for seed in range(40):
            assert augment(Marked(list("...?"), [0] * 4), kind, Random(seed), FORMS).chars


@pytest.fixture(scope="module")
def texts() -> list[str]:
    turns, _ = read(DATA / "b01.jsonl")
    return [clean_text(record.conversation.turns[-1].text).clean for record in turns]


@pytest.mark.parametrize("kind", KINDS)
def test_augmented_text_is_as_clean_as_what_the_models_read_in_service(texts, kind):
    """The normaliser has nothing left to do, so training meets no character that serving never shows."""
    random = Random(3)
    written = ["".join(augment(numbered(text), kind, random, FORMS).chars).replace("紝", "") for text in texts]
    # 紝 stands among the commonest characters in jieba's dictionary: a comma that was once decoded wrongly.
    assert [text for text in written if clean_text(text).clean != text] == []


def test_traditional_script_is_undone_before_a_model_reads_it(texts):
    traditional = opencc.OpenCC("s2t")
    written = [traditional.convert(text) for text in texts]
    assert sum(a != b for a, b in zip(written, texts, strict=True)) > 0.95 * len(texts)
    undone = sum(clean_text(a).clean == b for a, b in zip(written, texts, strict=True))
    assert undone >= 0.99 * len(texts)  # 暱 has no simplified form in OpenCC's tables


def test_readings_in_brackets_are_undone_before_a_model_reads_them(texts):
    readings = {char: max(own) for char, own in tables.readings().items() if not max(own).isascii()}
    for text in texts:
        glossed = "".join(f"{char}({readings[char]})" if char in readings else char for char in text)
        assert len(glossed) > len(text) and clean_text(glossed).clean == text
