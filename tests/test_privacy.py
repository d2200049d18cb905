import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.detect.privacy import mask, personal_data, valid_bank_card, valid_id_card
from screening.normalise.clean import clean_text
from tests.conftest import active, conversation

ID_CARD = "11010519491231002x"  # the check digit example of GB 11643


def kinds(text: str) -> list[str]:
    return [item.kind for item in personal_data(clean_text(text).clean)]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("您的手机13812345678收到短信了吗", "mobile"),
        ("手机138 1234 5678", "mobile"),
        ("电话138-1234-5678", "mobile"),
        ("那个人是1.3.8.1.2.3.4.5.6.7.8，姓聂", "mobile"),
        ("号是一三八·一二三四·五六七八", "mobile"),
        ("记一下幺三八零零一三八零零零", "mobile"),
        ("座机010-62345678", "landline"),
        (f"身份证{ID_CARD}", "id_card"),
        ("卡号6222020200112233445", "bank_card"),
        ("邮箱wang.li@example.com", "email"),
        ("车牌京A12345", "plate"),
        ("地址是杭州市西湖区文三路90号3栋502室", "address"),
        ("微信号：wang_xiaomei88", "messenger_id"),
        ("qq12345678", "messenger_id"),
        ("订单号13812345678", "order_number"),
        ("ＴＥＬ １３８１２３４５６７８", "mobile"),
    ],
)
def test_each_kind_is_told_apart(text, kind):
    if kind == "bank_card":
        digits = next(d for d in (f"622202020011223344{i}" for i in range(10)) if valid_bank_card(d))
        text = f"卡号{digits}"
    assert kind in kinds(text)


@pytest.mark.parametrize(
    "text",
    [
        "1234567890123456",
        "订单202603021234567890",
        "价格1999元",
        "尺寸120*200",
        "12315",
        "2026.03.02-2026.03.15",
        "1.38.12.34.56",
    ],
)
def test_plain_numbers_are_no_personal_data(text):
    assert set(kinds(text)) <= {"order_number"}


def test_check_digits():
    assert valid_id_card(ID_CARD)
    assert not valid_id_card("110105194912310021")
    assert not valid_id_card("110105194913310021")


@given(st.from_regex("62[0-9]{13,16}", fullmatch=True))
def test_luhn_accepts_one_last_digit_in_ten(head):
    assert sum(valid_bank_card(head + str(last)) for last in range(10)) == 1


@given(st.text(alphabet="您好138012345678 微信号a_b：", max_size=60))
def test_masking_keeps_every_offset(text):
    turn = clean_text(text)
    masked = mask(text, turn.clean, turn.origin)
    assert len(masked) == len(text)
    assert all(a in (b, "*") for a, b in zip(masked, text, strict=True))


def test_masking_covers_the_middle():
    text = "打13812345678找我"
    assert mask(text, text, None) == "打13*******78找我"


def signals(screener, *turns):
    return {s for s, _ in active(screener.screen(conversation(*turns)), "leak.", "diversion.")}


def test_a_full_identity_number_is_a_leak_unless_the_customer_gave_it(screener):
    assert signals(screener, ("agent", f"登记的是{ID_CARD}")) == {"leak.customer_data"}
    assert signals(screener, ("customer", f"我的身份证{ID_CARD}"), ("agent", f"收到{ID_CARD}")) == set()


def test_others_numbers_leak_and_own_numbers_divert(screener):
    assert signals(screener, ("agent", "那位买家的电话是13812345678")) == {"leak.customer_data"}
    assert signals(screener, ("agent", "有事打我13812345678")) == {"diversion.private_contact"}
    assert signals(screener, ("agent", "派件师傅的电话是13812345678")) == set()
    assert signals(screener, ("customer", "我的电话13812345678"), ("agent", "好的，13812345678对吗")) == set()


def test_a_phone_number_that_leaks_is_harassment_and_a_breach_of_confidence(screener):
    screening = screener.screen(conversation(("agent", "那位买家的电话是13812345678")))
    assert {"A.harassment", "A.confidentiality"} <= {c.clause for c in screening.candidates}
