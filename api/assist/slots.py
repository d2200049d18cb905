"""The slots of suggestions ({称呼}, {商户名}, {时限}), filled from the conversation; nothing is made up."""

import re
from collections.abc import Iterable, Mapping

from screening.profile import SLOTS
from screening.types import Conversation

_LONGEST = 40
_UNFIT = re.compile("[\x00-\x1f\x7f{}]")
_EDGE = r"[，。！？、,.!?\s~～]"
_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许邓冯韩曹曾彭萧蔡潘田董袁于余叶蒋杜苏魏程吕丁沈任姚卢傅钟姜崔谭廖范汪陆金石戴贾韦夏邱方侯邹熊孟秦白江阎薛尹段雷黎史龙陶贺顾毛郝龚邵万钱严覃武戴莫孔向汤温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷盛曲翁冉骆蓝路游辛靳欧阳上官司徒诸葛"
_ADDRESS = re.compile(
    rf"(?:^|{_EDGE}|您好|你好|尊敬的)((?:欧阳|上官|司徒|诸葛|[{_SURNAMES}])(?:先生|女士|小姐|老师)|亲亲?)(?={_EDGE}|您|你|$)"
)
_SHOP = re.compile(r"(?:欢迎光临|这里是|我是|感谢选择)([^，。！？,.!?\s~～]{1,14}?(?:旗舰店|专营店|专卖店|官方店|直营店))")
_TIME = re.compile(
    r"((?:(?:今天|今晚|明天|明早|后天|周[一二三四五六日])(?:上午|中午|下午|晚上)?\d{1,2}[点时:：](?:\d{1,2}分?|半)?|今天|明天)(?:之?前|以前)"
    r"|\d{1,3}个?(?:小时|分钟|工作日)(?:之?内|以内))(?=[^，。！？,.!?]{0,8}(?:回|答|联系|处理|告诉|通知|给您|办))"
)


def filled(conversation: Conversation, defaults: Mapping[str, str]) -> dict[str, str]:
    """What stands for each slot: the desk's own attribute of that name, else what the agent said, else the profile's."""
    found = dict(defaults)
    said = [turn.text for turn in reversed(conversation.turns) if turn.role == "agent"]
    for slot, pattern in (("称呼", _ADDRESS), ("商户名", _SHOP), ("时限", _TIME)):
        heard = _last(pattern, said)
        if heard is not None:
            found[slot] = heard
        given = conversation.attributes.get(slot)
        if isinstance(given, str) and 0 < len(given.strip()) <= _LONGEST and not _UNFIT.search(given):
            found[slot] = given.strip()
    return found


def fill(template: str, values: Mapping[str, str], beside: str) -> str | None:
    """The template with its slots filled; None where one stays open.

    The address is left out where nobody knows it, or where what stays of the draft (`beside`) holds it already.
    """
    values = dict(values)
    if values.get("称呼") in (None, "") or values["称呼"] in beside:
        template = template.replace("{称呼}，", "").replace("，{称呼}", "").replace("{称呼}", "")
    for slot in SLOTS:
        mark = "{" + slot + "}"
        if mark in template:
            if slot not in values:
                return None
            template = template.replace(mark, values[slot])
    return template


def _last(pattern: re.Pattern[str], texts: Iterable[str]) -> str | None:
    for text in texts:
        heard: list[str] = pattern.findall(text)
        if heard:
            return heard[-1]
    return None
