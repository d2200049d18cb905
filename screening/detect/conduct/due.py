"""When a promise falls due: of all moments a sentence names, the latest counts ("today" = the end of today).

The rule is standard 1's on vague times in a promise; the reading of hours and days is the ordinary Chinese one.
"""

import re
from datetime import datetime, time, timedelta, tzinfo
from typing import NamedTuple

_NUMBER = "(?:[0-9]{1,3}|[一二两三四五六七八九十半]{1,3})"
_UNITS = {
    "秒": "seconds",
    "分钟": "minutes",
    "分": "minutes",
    "小时": "hours",
    "钟头": "hours",
    "天": "days",
    "周": "weeks",
    "星期": "weeks",
}
_SPAN = re.compile(f"({_NUMBER})\\s*(?:个)?(半)?(秒|分钟|小时|钟头|工作日|天|周|星期)(半)?(?:之内|以内|内|之后|以后|后|左右|里)?")
_QUARTER = re.compile("([一三])刻钟")
_DAY = re.compile("大后天|后天|明天|明日|明早|明晚|今天|今日|今早|今晚|当天|当日|本日|今儿|明儿")
_DAY_OFFSET = {"大后天": 3, "后天": 2, "明": 1}
_PART = {
    "凌晨": 6,
    "早上": 12,
    "上午": 12,
    "早": 12,
    "中午": 14,
    "下午": 18,
    "傍晚": 19,
    "晚上": 24,
    "晚": 24,
    "夜里": 24,
    "下班": 18,
}
_PART_RE = re.compile("(凌晨|早上|上午|中午|下午|傍晚|晚上|夜里|下班)")
_CLOCK = re.compile(
    "(凌晨|早上|上午|中午|下午|傍晚|晚上|晚|早)?\\s*([0-9]{1,2}|[一二两三四五六七八九十]{1,3})\\s*(?:[点时](?!间|候)|:)\\s*(半|[0-9]{1,2}|[一二三四五六七八九十]{1,3})?\\s*(?:分)?(?:钟|整)?"
)
_WEEKDAY = re.compile("(下下|下|这|本)?(?:个)?(?:周|星期|礼拜)([一二三四五六日天末])")
_WEEK = re.compile("(本周|这周|下周)(?:内|之内)?(?![一二三四五六日天末])")
_MONTH_END = re.compile("(?:本月|这个月|月)底")
_DATE = re.compile("([0-9]{1,2})月([0-9]{1,2})[日号]")
_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九十")} | {"两": 2}


class Due(NamedTuple):
    """The moment (POSIX seconds) and the words that name it (half-open clean range)."""

    at: float
    start: int
    end: int


def number(text: str) -> float:
    """Value of a short Arabic or Chinese number; 半 is 0.5."""
    if text.isdigit():
        return float(text)
    if text == "半":
        return 0.5
    half = 0.5 if text.endswith("半") else 0.0
    text = text.rstrip("半")
    if "十" in text:
        tens, _, ones = text.partition("十")
        return (_DIGITS.get(tens, 1) if tens else 1) * 10 + (_DIGITS.get(ones, 0) if ones else 0) + half
    return _DIGITS.get(text[:1], 0) + half


def due_time(clean: str, said: float, zone: tzinfo) -> Due | None:
    """The latest moment that a clean text names, seen from when it was said; None when it names none."""
    now = datetime.fromtimestamp(said, zone)
    found = [*_durations(clean, now), *_days(clean, now), *_dates(clean, now)]
    if not found:
        return None
    moment = max(at for at, _, _ in found)
    return Due(moment.timestamp(), min(s for _, s, _ in found), max(e for _, _, e in found))


_Moment = tuple[datetime, int, int]


def _durations(clean: str, now: datetime) -> list[_Moment]:
    found: list[_Moment] = []
    for match in _SPAN.finditer(clean):
        value = number(match[1]) + (0.5 if match[2] or match[4] else 0.0)
        if match[3] == "工作日":
            at = _end_of_day(_workdays(now, round(value)))
        else:
            at = now + timedelta(**{_UNITS[match[3]]: value})
            if match[3] in ("天", "周", "星期"):
                at = _end_of_day(at)
        found.append((at, *match.span()))
    found += [(now + timedelta(minutes=15 * number(m[1])), *m.span()) for m in _QUARTER.finditer(clean)]
    return found


def _days(clean: str, now: datetime) -> list[_Moment]:
    """Days with the part of day or clock time that follows them; a clock time alone means its next occurrence."""
    found: list[_Moment] = []
    used: set[int] = set()
    for match in _DAY.finditer(clean):
        word = match[0]
        offset = _DAY_OFFSET.get(word) or _DAY_OFFSET.get(word[0], 0)
        day = now + timedelta(days=offset)
        tail = clean[match.end() : match.end() + 10]
        clock = _CLOCK.match(tail.lstrip("的 "))
        part = _PART_RE.match(tail)
        end = match.end()
        if clock:
            shift = len(tail) - len(tail.lstrip("的 "))
            at = _at_clock(day, clock[1] or word[-1:], clock)
            used.add(end + shift + clock.start(2))
            end += shift + clock.end()
        elif part:
            at = _at_hour(day, _PART[part[1]])
            end += part.end()
        elif word[-1] in ("早", "晚"):
            at = _at_hour(day, _PART[word[-1]])
        else:
            at = _end_of_day(day)
        found.append((at, match.start(), end))
    for match in _CLOCK.finditer(clean):
        if match.start(2) in used:
            continue
        at = _at_clock(now, match[1] or "", match)
        found.append((at if at > now else at + timedelta(days=0 if at.date() > now.date() else 1), *match.span()))
    return found


def _dates(clean: str, now: datetime) -> list[_Moment]:
    found: list[_Moment] = []
    for match in _WEEKDAY.finditer(clean):
        weekday = 6 if match[2] in "日天末" else "一二三四五六".index(match[2])
        weeks = {"下下": 2, "下": 1}.get(match[1] or "", 0)
        monday = now - timedelta(days=now.weekday())
        day = monday + timedelta(weeks=weeks, days=weekday)
        if match[1] is None and day.date() < now.date():
            day += timedelta(weeks=1)
        found.append((_end_of_day(day), *match.span()))
    for match in _WEEK.finditer(clean):
        sunday = now + timedelta(days=6 - now.weekday() + (7 if match[1] == "下周" else 0))
        found.append((_end_of_day(sunday), *match.span()))
    for match in _MONTH_END.finditer(clean):
        following = (now.replace(day=28) + timedelta(days=4)).replace(day=1)
        found.append((_end_of_day(following - timedelta(days=1)), *match.span()))
    for match in _DATE.finditer(clean):
        try:
            day = now.replace(month=int(match[1]), day=int(match[2]))
        except ValueError:
            continue
        found.append((_end_of_day(day if day.date() >= now.date() else day.replace(year=day.year + 1)), *match.span()))
    return found


def _workdays(now: datetime, count: int) -> datetime:
    day = now
    while count > 0:
        day += timedelta(days=1)
        count -= day.weekday() < 5
    return day


def _end_of_day(day: datetime) -> datetime:
    return datetime.combine(day.date(), time(23, 59, 59), day.tzinfo)


def _at_hour(day: datetime, hour: int) -> datetime:
    return _end_of_day(day) if hour >= 24 else datetime.combine(day.date(), time(hour), day.tzinfo)


def _at_clock(day: datetime, part: str, match: re.Match[str]) -> datetime:
    hour = int(number(match[2]))
    minute = 30 if match[3] == "半" else int(number(match[3])) if match[3] else 0
    if (part in ("下午", "傍晚", "晚上", "晚") and hour < 12) or (not part and 1 <= hour <= 7 and day.hour >= hour):
        hour += 12
    if hour >= 24 or minute > 59:
        return _end_of_day(day)
    return datetime.combine(day.date(), time(hour, minute), day.tzinfo)
