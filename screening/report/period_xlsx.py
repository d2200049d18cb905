"""The report on a period as a workbook: one sheet a table, numbers as numbers, each share beside its n and interval."""

from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import Any

import xlsxwriter

from screening.report import names
from screening.report.data import Tally
from screening.report.period import Period, Share, Spread
from screening.report.period_html import HISTORY, OUTCOMES, UNITS

_SHARE = ("占比", "分子", "n", "95% 下限", "95% 上限")
_SPREAD = ("n", "平均（秒）", "中位数（秒）", "90% 分位（秒）", "最长（秒）")
_LEVELS = ("对话", "A", "B", "C", "无候选", "未筛查完")
_DIFFERS = {"more": "高于其余客服", "fewer": "低于其余客服", None: "分不出差别"}


class _Book:
    """A workbook being written; text never becomes a formula."""

    def __init__(self, out: BytesIO):
        self.book = xlsxwriter.Workbook(out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
        self._head = self.book.add_format({"bold": True, "bg_color": "#EEF1F5", "bottom": 1, "text_wrap": True, "valign": "top"})
        self._share = self.book.add_format({"num_format": "0.0%"})
        self._number = self.book.add_format({"num_format": "#,##0.##"})

    def sheet(self, name: str, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> tuple[Any, int]:
        """A sheet with a frozen head and a filter; gives it with its number of rows. Shares are `float` in columns named 占比 or 95 %."""
        sheet = self.book.add_worksheet(name)
        sheet.write_row(0, 0, head, self._head)
        sheet.freeze_panes(1, 1)
        widths = [len(title) * 2 for title in head]
        count = 0
        for count, row in enumerate(rows, 1):
            for column, value in enumerate(row):
                if isinstance(value, str):
                    sheet.write_string(count, column, value)
                    widths[column] = max(widths[column], sum(1 + (ord(c) > 0x2E80) for c in value))
                elif value is not None:
                    is_share = head[column].endswith(("占比", "95% 下限", "95% 上限", "满意度", "累计"))
                    sheet.write_number(count, column, value, self._share if is_share else self._number)
        for column, width in enumerate(widths):
            sheet.set_column(column, column, min(60, max(8, width + 2)))
        if count:
            sheet.autofilter(0, 0, count, len(head) - 1)
        return sheet, count


def workbook(period: Period) -> bytes:
    """The workbook's bytes."""
    out = BytesIO()
    book = _Book(out)
    book.sheet("概览", ("项目", "数值", *_SHARE[1:]), _overview(period))
    _trends(book, period)
    book.sheet(
        "指标对照", ("指标", "渠道", "方式", "要求", "实际（秒）", *_SHARE, "结论", "标准", "出处", "适用"), _indicators(period)
    )
    _pareto(book, period)
    _agents(book, period)
    head = ("渠道", "项目", *_SPREAD)
    book.sheet("响应与等候", head, _times(period))
    book.sheet("满意与解决", ("渠道", "项目", *_SHARE), _rates(period))
    book.sheet("供应商", ("供应商", *_LEVELS, *_SHARE), ((t.name, *_levels(t), *_share(_graded(t))) for t in period.vendors))
    if period.history:
        rows = ((HISTORY[h.kind][0], h.kind, OUTCOMES[h.outcome], h.level or "", h.findings) for h in period.history)
        book.sheet("跨对话", ("事项", "代号", "结果", "级别", "笔数"), rows)
    book.sheet("版本", ("项目", "版本"), _versions(period))
    book.book.close()
    return out.getvalue()


def _overview(period: Period) -> list[tuple[Any, ...]]:
    t = period.levels
    return [
        ("数据", period.source),
        ("供应商", period.vendor or "全部"),
        ("起", period.first or ""),
        ("止", period.last or ""),
        ("时区", period.timezone),
        ("对话", t.conversations),
        *((f"{level} 级对话", n, *_share(Share(n, t.conversations))[1:]) for level, n in (("A", t.a), ("B", t.b), ("C", t.c))),
        ("有候选的对话", t.graded, *_share(period.graded)[1:]),
        ("未筛查完", t.incomplete),
        ("事故候选", period.candidates),
        ("客服发言", period.agent_turns),
        ("满意", period.satisfied.hits, *_share(period.satisfied)[1:]),
        ("没有时间的对话", period.undated),
        ("拒收的输入", period.refused),
    ]


def _trends(book: _Book, period: Period) -> None:
    head = (
        UNITS[period.unit],
        *_LEVELS,
        *_SHARE,
        "首次响应中位数（秒）",
        "首次响应 90% 分位（秒）",
        "首次响应 n",
        "满意度",
        "已评价 n",
    )
    rows = [
        (
            slot.levels.name,
            *_levels(slot.levels),
            *_share(_graded(slot.levels)),
            *((slot.first_response.median, slot.first_response.p90) if slot.first_response.n else (None, None)),
            slot.first_response.n,
            slot.satisfied.value,
            slot.satisfied.n,
        )
        for slot in period.slots
    ]
    sheet, n = book.sheet("趋势", head, rows)
    if n:
        chart = book.book.add_chart({"type": "line"})
        chart.add_series({"name": "有候选的对话占比", "categories": ["趋势", 1, 0, n, 0], "values": ["趋势", 1, 7, n, 7]})
        chart.set_title({"name": "有候选的对话占比"})
        chart.set_y_axis({"num_format": "0%", "min": 0})
        sheet.insert_chart(n + 2, 1, chart, {"x_scale": 1.6})


def _pareto(book: _Book, period: Period) -> None:
    head = ("标准", "条款", "名称", "级别", "候选", "占比", "累计", "涉及客服")
    rows = ((c.standard, c.clause, c.title, c.level, c.candidates, c.share, c.cumulative, c.agents) for c in period.clauses)
    sheet, n = book.sheet("条款帕累托", head, rows)
    if n:
        columns = book.book.add_chart({"type": "column"})
        columns.add_series({"name": "候选", "categories": ["条款帕累托", 1, 2, n, 2], "values": ["条款帕累托", 1, 4, n, 4]})
        line = book.book.add_chart({"type": "line"})
        places = {"categories": ["条款帕累托", 1, 2, n, 2], "values": ["条款帕累托", 1, 6, n, 6]}
        line.add_series({"name": "累计", **places, "y2_axis": True, "marker": {"type": "circle"}})
        columns.combine(line)
        columns.set_title({"name": "条款的帕累托"})
        line.set_y2_axis({"num_format": "0%", "min": 0, "max": 1})
        sheet.insert_chart(n + 2, 1, columns, {"x_scale": 1.8, "y_scale": 1.2})


def _agents(book: _Book, period: Period) -> None:
    head = ("客服", *_LEVELS, *_SHARE, "与其余客服相比", "满意度", "已评价 n")
    rows = (
        (a.levels.name, *_levels(a.levels), *_share(a.graded), _DIFFERS[a.differs], a.satisfied.value, a.satisfied.n)
        for a in period.agents
    )
    book.sheet("客服", head, rows)


def _indicators(period: Period) -> Iterable[tuple[Any, ...]]:
    kinds = {"within": "每个对话不超过（秒）", "mean": "平均不超过（秒）", "rate": "不低于（%）"}
    for one in period.indicators:
        verdict = "标准未定比例" if one.met is None else "达标" if one.met else "未达标"
        share = _share(one.share) if one.kind != "mean" else (None, None, one.n, None, None)
        channel = names.CHANNELS[one.channel] if one.channel else "全部"
        unsure = "（区间含要求值）" if one.unsure else ""
        in_force = "是" if one.in_force else "参照"
        yield one.name, channel, kinds[one.kind], one.limit, one.mean, *share, verdict + unsure, one.standard, one.place, in_force


def _times(period: Period) -> Iterable[tuple[Any, ...]]:
    for c in period.channels:
        for name, held in (("首次人工响应", c.first_response), ("平均响应", c.mean_response), ("排队等候", c.queue)):
            yield names.CHANNELS[c.channel], name, *_spread(held)


def _rates(period: Period) -> Iterable[tuple[Any, ...]]:
    for c in period.channels:
        for name, held in (("满意度", c.satisfied), ("接起率", c.answered), ("解决率", c.solved)):
            yield names.CHANNELS[c.channel], name, *_share(held)


def _versions(period: Period) -> Iterable[tuple[str, str]]:
    v = period.versions
    yield from (("程序", v.code), ("归一化", v.normaliser), ("词库", v.lexicon), ("设置", v.settings), ("引擎", v.engine))
    yield from ((f"标准 {name}", value) for name, value in v.standards.items())
    yield from ((f"模型 {name}", value) for name, value in v.models.items())


def _levels(t: Tally) -> tuple[int, ...]:
    return t.conversations, t.a, t.b, t.c, t.clear, t.incomplete


def _graded(t: Tally) -> Share:
    return Share(t.graded, t.conversations)


def _share(share: Share) -> tuple[float | int | None, ...]:
    low, high = share.interval if share.n else (None, None)
    return share.value, share.hits, share.n, low, high


def _spread(s: Spread) -> tuple[float | int | None, ...]:
    return (s.n, s.mean, s.median, s.p90, s.maximum) if s.n else (0, None, None, None, None)
