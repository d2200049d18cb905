"""The report on a period as one HTML file that asks for nothing from anywhere; no script, no text of conversations."""

from math import ceil

from jinja2 import Environment, PackageLoader, StrictUndefined

from screening.report import names
from screening.report.charts import Chart, chart
from screening.report.html import packaged
from screening.report.period import BINS, FEW, Indicator, Period, Share
from screening.types import Channel

UNITS = {"day": "日", "week": "周", "month": "月"}
HISTORY = {
    "entry_errors": ("录入错误满三处", "entry errors"),
    "diversion": ("引流（同账号同日计一次）", "diversion"),
    "promise": ("承诺的后续联系", "promises"),
    "mail": ("在班邮件当日回复", "mails"),
    "repeated_complaint": ("同一原因重复投诉", "repeated complaints"),
}
OUTCOMES = {
    "counted": "计入",
    "undated": "无时间，未归月",
    "kept": "已兑现",
    "late": "逾期兑现",
    "unkept": "到期未见联系",
    "open": "尚未到期",
    "unanswered": "当日未回复",
    "repeated": "重复投诉",
}


def render(period: Period) -> str:
    """The page; every name in it is escaped."""
    environment = Environment(
        loader=PackageLoader("screening.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("period.html.j2").render(
        period=period,
        names=names,
        style=packaged("report.css") + packaged("period.css"),
        units=UNITS,
        history=HISTORY,
        outcomes=OUTCOMES,
        few=FEW,
        bins=[bin_name(end) for end in BINS],
        charts=charts(period),
        duration=duration,
        reach=reach(period),
    )


def charts(period: Period) -> dict[str, Chart]:
    """The trends, by name: graded, response, satisfied."""
    slots = period.slots
    labels = [slot.levels.name if period.unit == "month" else slot.levels.name[5:] for slot in slots]
    graded = [Share(slot.levels.graded, slot.levels.conversations) for slot in slots]
    satisfied = [slot.satisfied for slot in slots]
    waits = [slot.first_response for slot in slots]
    target, due = limit(period, "满意度"), limit(period, "首次响应", period.main_channel)
    return {
        "graded": _shares(labels, "有候选的对话占比", graded, width=1160),
        "response": chart(
            labels,
            [
                ("中位数", [float(w.median) if w.n else None for w in waits]),
                ("90% 分位", [float(w.p90) if w.n else None for w in waits]),
            ],
            [w.n for w in waits],
            " 秒",
            limit=None if due is None else (due.limit, duration(due.limit)),
        ),
        "satisfied": _shares(labels, "满意度", satisfied, None if target is None else (target.limit, f"{target.limit:g}%")),
    }


def _shares(
    labels: list[str], name: str, shares: list[Share], demanded: tuple[float, str] | None = None, width: int = 720
) -> Chart:
    values = [None if share.value is None else 100 * share.value for share in shares]
    intervals = [None if share.n == 0 else (100 * share.interval[0], 100 * share.interval[1]) for share in shares]
    return chart(
        labels,
        [(name, values)],
        [share.n for share in shares],
        "%",
        intervals=intervals,
        limit=demanded,
        ceiling=100.0,
        width=width,
    )


def limit(period: Period, name: str, channel: Channel | None = None) -> Indicator | None:
    """The first demand in force on a figure, of this channel where one is given."""
    held = [one for one in period.indicators if one.name == name and one.in_force]
    return next((one for one in held if channel is None or one.channel in (None, channel)), None)


def reach(period: Period) -> float:
    """Up to which share the agents' intervals are drawn: the largest one that rests on enough, in steps of 10 %."""
    ends = [agent.graded.interval[1] for agent in period.agents if agent.graded.n >= FEW]
    return min(1.0, ceil(10 * max(ends, default=1.0)) / 10)


def bin_name(end: int | None) -> str:
    """What a bin of waiting times is called."""
    if end is None:
        return "更长"
    return f"≤{end} 秒" if end < 120 else f"≤{end // 60} 分" if end < 7200 else f"≤{end // 3600} 时"


def duration(seconds: float) -> str:
    """A waiting time as a reader says it."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} 秒"
    if whole < 7200:
        return f"{whole // 60} 分 {whole % 60} 秒" if whole % 60 else f"{whole // 60} 分"
    return f"{whole // 3600} 小时 {whole % 3600 // 60} 分"
