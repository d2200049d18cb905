import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexicons.load import packaged
from screening.detect.vocabulary import Vocabulary
from screening.normalise.fold import Folder
from screening.normalise.pinyin import PinyinReader
from screening.pipeline import Screener
from screening.types import Conversation, Turn

READER = PinyinReader(["加我", "微信", "最低", "低价", "最低价", "傻逼", "妈的"])


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("jia wo wei xin", "加我微信"),
        ("jiawoweixin", "加我微信"),
        ("这是zui di jia了", "最低价"),
        ("jiā wǒ wēi xìn 找我", "加我微信"),
        ("bu shi wei xin", "不是微信"),
        ("made in china", ""),
        ("iphone 15 pro max", ""),
        ("wei", ""),
        ("您好", ""),
    ],
)
def test_words_of_the_lexicon_are_heard(text, heard):
    assert "".join(char for _, _, char in READER.heard(text)) == heard


@given(st.text(alphabet="jiawoexnm 您'ē.", max_size=30))
def test_what_is_heard_lies_in_order_on_letters(text):
    end = 0
    for heard in READER.heard(text):
        assert end <= heard.start < heard.end <= len(text)
        assert text[heard.start : heard.end].isalpha()
        end = heard.end


@pytest.mark.parametrize(
    ("clean", "folded"),
    [
        ("去淘(tao)宝(bao)看", "去淘宝看"),
        ("加下威(微)芯(信)", "加下微信"),
        ("加v(薇)信", "加薇信"),
        ("价格(yuan)不变", "价格yuan不变"),
        ("尺码(大)", "尺码大)"),
        ("wei xin加一下", "微信加一下"),
    ],
)
def test_folding_reads_pinyin_and_glosses(clean, folded):
    folder = Folder({}, lambda: READER)
    assert folder.fold(clean).text == folder.text(clean) == folded


@pytest.mark.parametrize("text", ["您jia wo wei xin吧", "亲，ＪＩＡ我ｗｅｉｘｉｎ", "加我微(wei)信(xin)吧"])
def test_contact_in_pinyin_is_flagged_with_its_letters(text):
    flags = Screener(packaged()).screen(Conversation(id="c", turns=(Turn("agent", text),))).flags
    assert any(flag.signal == "diversion.private_contact" and flag.quote in text for flag in flags)


def test_english_beside_service_words_is_left_alone():
    text = "您好，这款home系列made in china，支持iphone和huawei mate，change size也可以"
    assert not Screener(packaged()).screen(Conversation(id="c", turns=(Turn("agent", text),))).flags


def test_the_words_come_from_the_lexicon():
    heard = Vocabulary(packaged()).folder.fold("haoping fan xian").text
    assert heard == "好评返现"
