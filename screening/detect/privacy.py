"""Personal data in text: found for masking, and for flags where an agent shows what he should not.

Numbers are checked, not only counted: identity cards by their check digit (GB 11643), bank cards by Luhn (ISO/IEC 7812),
mobile numbers by the ranges in use, so that order numbers of the same length are told apart.
"""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from screening.detect.reading import Reading
from screening.normalise import tables
from screening.types import Finding, SourceKind, Span

NAME = "privacy"
VERSION = 1
Kind = Literal["mobile", "landline", "id_card", "bank_card", "plate", "email", "address", "messenger_id", "order_number"]

_ORDER = re.compile(
    "(?:订单|单号|运单|快递单|物流单|工单|流水|编号|发票)(?:编?号码?)?(?:是|为|尾号|[:： ])*([a-z]{0,4}[0-9][0-9-]{6,24})"
)
_NUMBER = re.compile("(?<![0-9])(?:[0-9][ .·*_/-]?){6,23}[0-9x](?![0-9])")
_MOBILE = re.compile("(?:\\+?86)?(1[3-9][0-9]{9})")
_LANDLINE = re.compile("(?<![0-9])(0[1-9][0-9]{1,2}[- ]?[2-8][0-9]{6,7})(?![0-9])")
_EMAIL = re.compile("[a-z0-9][a-z0-9._+-]{0,40}@[a-z0-9-]{1,40}(?:\\.[a-z]{2,10}){1,3}")
_PLATE = re.compile(
    "[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][a-hj-np-z][·.]?[a-hj-np-z0-9]{5,6}(?![a-z0-9])"
)
_ADDRESS = re.compile(
    "[\u4e00-\u9fff]{2,12}(?:省|市|区|县|镇|街道|路|街|巷|大道)[\u4e00-\u9fff0-9]{0,16}[0-9一二三四五六七八九十]{1,5}(?:号|弄|栋|幢|座|单元|楼|室)(?:[0-9一二三四五六七八九十]{1,5}(?:号|栋|幢|座|单元|楼|室|层)){0,4}"
)
_MESSENGER = re.compile(
    "(?:微信|vx|wx|v信|薇信|qq|扣扣|企鹅)(?:号码?|id)?(?:就?是|为|[:： ]){0,2}([a-z][a-z0-9_-]{5,19}|[1-9][0-9]{4,10})(?![0-9a-z])"
)
_SPELLED = re.compile(f"[0-9{''.join(tables.NUMERALS)} .·*_/-]{{7,}}")
_JOINERS = re.compile("[ .·*_/-]")
_DIGITS = str.maketrans(tables.NUMERALS)
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_OFFICIAL = re.compile("官方|热线|客服电话|服务电话|总机|前台|400|95[0-9]{3}|消费者|举报电话")
_OWN = re.compile("(?:加|打|拨|联系|找|发|转|记|存)(?:一下|下|给)?我|我(?:的|自己|个人|私人)|私人|本人|我手机|我电话")
_OTHERS = re.compile(
    "(?:他|她|这位|那位|另一位|上一位|别的|其他|那个|隔壁)(?:的)?(?:客户|顾客|买家|用户|先生|女士|客人)?|买家|评价的人|投诉人|收货人|收件人"
)
_PARTNERS = re.compile("快递员|配送员|骑手|师傅|网点|站点|物流|安装|维修|售后点|门店|厂家|司机|仓库|快递小哥|派件")
_WINDOW = 24


class Personal(NamedTuple):
    """A piece of personal data: its kind and half-open clean range."""

    kind: Kind
    start: int
    end: int


def valid_id_card(digits: str) -> bool:
    """Whether an 18-character identity number carries its right check digit and a possible date of birth."""
    if not re.fullmatch("[1-9][0-9]{5}(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9x]", digits):
        return False
    total = sum(weight * int(digit) for weight, digit in zip(_ID_WEIGHTS, digits, strict=False))
    return "10x98765432"[total % 11] == digits[17]


def valid_bank_card(digits: str) -> bool:
    """Whether 16 to 19 digits begin as a payment card may and pass the Luhn check."""
    if not re.fullmatch("(?:3[0-9]|4[0-9]|5[1-5]|62|9[0-9])[0-9]{14,17}", digits):
        return False
    total = 0
    for place, char in enumerate(reversed(digits)):
        value = int(char) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def personal_data(clean: str) -> list[Personal]:
    """All personal data in a clean text, ordered and not overlapping; the earlier and longer wins.

    Numbers spelled in Chinese numerals are read as digits; that keeps every offset.
    """
    spelled = _SPELLED.sub(lambda run: run[0].translate(_DIGITS), clean)
    found = sorted(_all(spelled), key=lambda p: (p.start, -p.end))
    kept: list[Personal] = []
    for item in found:
        if not kept or item.start >= kept[-1].end:
            kept.append(item)
    return kept


def _all(clean: str) -> Iterator[Personal]:
    orders = [Personal("order_number", *match.span(1)) for match in _ORDER.finditer(clean)]
    yield from orders
    for match in _NUMBER.finditer(clean):
        if any(o.start <= match.start() < o.end for o in orders):
            continue
        digits = _JOINERS.sub("", match[0])
        kind = _number_kind(digits)
        if kind is not None:
            yield Personal(kind, *match.span())
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(clean):
            group = 1 if pattern.groups else 0
            yield Personal(kind, *match.span(group))


_PATTERNS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("landline", _LANDLINE),
    ("email", _EMAIL),
    ("plate", _PLATE),
    ("address", _ADDRESS),
    ("messenger_id", _MESSENGER),
)


def _number_kind(digits: str) -> Kind | None:
    if valid_id_card(digits):
        return "id_card"
    if valid_bank_card(digits):
        return "bank_card"
    if _MOBILE.fullmatch(digits):
        return "mobile"
    return None


def mask(text: str, clean: str, origin: list[int] | None) -> str:
    """The original text with personal data covered by asterisks, one for each character: offsets stay valid."""
    chars = list(text)
    for item in personal_data(clean):
        start = item.start if origin is None else origin[item.start]
        end = item.end if origin is None else origin[item.end - 1] + 1
        keep = 2 if item.kind in ("mobile", "id_card", "bank_card", "landline") and end - start > 8 else 0
        for i in range(start + keep, end - keep):
            chars[i] = "*"
    return "".join(chars)


def detect(reading: Reading) -> list[Finding]:
    """Flags for agent turns that show personal data."""
    found: list[Finding] = []
    for i in reading.with_numbers():
        clean, turn = reading.clean(i), reading.turn(i)
        for item in personal_data(clean):
            words = clean[item.start : item.end]
            if _said_by_customer(reading, i, words):
                continue
            verdict = _judge(item, clean)
            if verdict is not None:
                signal, name, why = verdict
                found.append(_finding(signal, name, why, i, turn.span(item.start, item.end)))
    return found


def _judge(item: Personal, clean: str) -> tuple[str, str, str] | None:
    around = clean[max(0, item.start - _WINDOW) : item.end + _WINDOW]
    if item.kind in ("id_card", "bank_card"):
        name = "身份证号" if item.kind == "id_card" else "银行卡号"
        return "leak.customer_data", f"full-{item.kind.replace('_', '-')}", f"客服消息中出现完整{name}"
    if _OFFICIAL.search(around) or _PARTNERS.search(around):
        return None
    if item.kind in ("mobile", "messenger_id"):
        if _OTHERS.search(clean[max(0, item.start - _WINDOW) : item.start]) and not _OWN.search(around):
            return "leak.customer_data", "others-number", "客服透露他人的联系方式"
        if item.kind == "messenger_id" or _OWN.search(around):
            return "diversion.private_contact", "own-number", "客服给出私人联系方式"
    return None


def _said_by_customer(reading: Reading, i: int, words: str) -> bool:
    plain = _plain_digits(words)
    return any(plain in _plain_digits(reading.clean(j)) for j in range(i) if reading.conversation.turns[j].role == "customer")


def _plain_digits(text: str) -> str:
    return _JOINERS.sub("", text.translate(_DIGITS))


def _finding(signal: str, name: str, why: str, turn: int, span: tuple[int, int]) -> Finding:
    kind: SourceKind = "privacy"
    references = ("jd-zhitongche/A.harassment", "jd-zhitongche/A.confidentiality") if name == "others-number" else ()
    return Finding(signal, turn, Span(*span), kind, name, VERSION, why, references=references or _CONFIDENTIAL.get(signal, ()))


_CONFIDENTIAL = {"leak.customer_data": ("jd-zhitongche/A.confidentiality",)}
