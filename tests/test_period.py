"""The report on a period: figures counted by hand, the page and the workbook that show them."""

import re
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import msgspec
import pytest
from python_calamine import CalamineWorkbook
from typer.testing import CliRunner

from api.cli import app
from lexicons.load import packaged
from screening.batch.period import Asked, collect
from screening.errors import InputError
from screening.intervals import wilson
from screening.pipeline import Screener
from screening.profile import Profile
from screening.report.charts import chart
from screening.report.data import Tally
from screening.report.period import Agent, Indicator, Period, Share, spread
from screening.report.period_html import bin_name, duration, render
from screening.report.period_xlsx import workbook
from screening.types import Conversation
from tests.scored import scored_archive

BAD = "您加我微信，那边给您便宜一百"
MADE = datetime(2026, 4, 1, tzinfo=UTC)


def conversation(number: int, *, day: str = "2026-03-02", wait: int = 10, bad: bool = False, **fields: object) -> dict:
    begin = datetime.fromisoformat(f"{day}T10:00:00+08:00")
    said = [("customer", "请问这款有货吗", 0), ("agent", BAD if bad else "您好，这款有货的，请放心选购", wait)]
    turns = [{"role": role, "text": text, "at": (begin + timedelta(seconds=s)).isoformat()} for role, text, s in said]
    rest = {"vendor_id": "v1", "agent_id": "a1", "customer_id": f"u{number}", "ended_by": "customer"} | fields
    return {"id": f"c{number:03}", "started_at": begin.isoformat(), "turns": turns, **rest}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, screener: Screener) -> str:
    """Ten conversations: 3 bad, of two vendors, on Monday, Tuesday and Thursday; one without any time."""
    given = [
        conversation(0, bad=True, attributes={"rating": "dissatisfied", "queue_seconds": 3}),
        conversation(1, attributes={"rating": "satisfied", "queue_seconds": 6}),
        conversation(2, attributes={"rating": "satisfied"}),
        conversation(3, wait=61, attributes={"rating": "neutral"}),
        conversation(4, day="2026-03-03", bad=True, agent_id="a2", attributes={"solved": False}),
        conversation(5, day="2026-03-03", bad=True, agent_id="a2", vendor_id="v2", attributes={"solved": True}),
        conversation(6, day="2026-03-05", vendor_id="v2", attributes={"rating": "satisfied"}),
        conversation(7, day="2026-03-05", channel="phone", attributes={"answered": True, "queue_seconds": 5}),
        conversation(8, day="2026-03-05", channel="phone", attributes={"answered": False, "queue_seconds": 90}),
        {"id": "c009", "agent_id": "a3", "turns": [{"role": "agent", "text": "您好"}]},
    ]
    return scored_archive(tmp_path_factory.mktemp("period"), screener, msgspec.convert(given, list[Conversation]))


@pytest.fixture(scope="module")
def period(root: str) -> Period:
    return collect(Asked(root), Profile(), packaged(), MADE)


def test_totals(period):
    assert (period.first, period.last, period.unit, period.undated) == ("2026-03-02", "2026-03-05", "day", 1)
    t = period.levels
    assert (t.conversations, t.a, t.b, t.c, t.clear) == (10, 3, 0, 1, 6)  # the first answer after 61 seconds is a C
    assert (period.graded, period.satisfied) == (Share(4, 10), Share(3, 5))
    assert period.candidates == 4  # three diversions, and one C for both the first and the mean answer of c003


def test_trend_has_a_place_for_days_without_conversations(period):
    slots = [(s.levels.key, s.levels.conversations, s.levels.graded, s.satisfied) for s in period.slots]
    assert slots == [
        ("2026-03-02", 4, 2, Share(2, 4)),
        ("2026-03-03", 2, 2, Share(0, 0)),
        ("2026-03-04", 0, 0, Share(0, 0)),
        ("2026-03-05", 3, 0, Share(1, 1)),
    ]
    assert period.main_channel == "online"
    assert [(s.first_response.n, s.first_response.median, s.first_response.maximum) for s in period.slots] == [
        (4, 10, 61),
        (2, 10, 10),
        (0, 0, 0),
        (1, 10, 10),
    ]


def test_pareto(period):
    assert [(c.clause, c.candidates, c.agents, round(c.cumulative, 3)) for c in period.clauses] == [
        ("A.diversion", 3, 2, 0.75),
        ("C.process", 1, 1, 1.0),
    ]


def test_channels(period):
    online, phone = period.channels
    assert (online.channel, online.conversations, online.first_response.n) == ("online", 8, 7)
    assert online.first_response.mean == pytest.approx((6 * 10 + 61) / 7)
    assert (online.bins[1], online.bins[5], sum(online.bins)) == (6, 1, 7)
    assert (online.solved, online.answered, phone.answered) == (Share(1, 2), Share(0, 0), Share(1, 2))
    assert (phone.queue.n, phone.queue.median, phone.queue.maximum, online.queue.mean) == (2, 5, 90, 4.5)
    assert (online.satisfied, online.neutral, online.dissatisfied) == (Share(3, 5), 1, 1)


def test_indicators_hold_figures_against_the_standards(period):
    held = {(i.name, i.channel, i.limit): i for i in period.indicators}
    first = held["首次响应", "online", 60]
    assert (first.share, first.met, first.in_force) == (Share(6, 7), None, True)
    mean = held["平均响应", "online", 30]
    assert (mean.mean, mean.met, mean.n) == (pytest.approx(121 / 7), True, 7)
    assert (held["满意度", "online", 97].met, held["满意度", "online", 97].unsure) == (False, False)
    assert (held["接起率", "phone", 95].share, held["接起率", "phone", 95].met) == (Share(1, 2), False)
    assert (held["排队等候", "phone", 5].share, held["排队等候", "phone", 60].share) == (Share(1, 2), Share(1, 2))
    assert not held["排队等候", "phone", 60].in_force
    assert [i.in_force for i in period.indicators] == sorted((i.in_force for i in period.indicators), reverse=True)


def test_a_limit_inside_the_interval_is_no_sure_verdict():
    low, high = wilson(96, 100)
    assert low < 0.97 < high
    given = {"share": Share(96, 100), "mean": None, "n": 100, "kind": "rate", "limit": 97.0, "in_force": True}
    one = Indicator("满意度", "online", "s", "p", **given)
    assert (one.met, one.unsure) == (False, True)


def test_only_one_vendor_or_some_days(root):
    own = collect(Asked(root, vendor="v2"), Profile(), packaged(), MADE)
    assert (own.levels.conversations, own.levels.a, own.candidates) == (2, 1, 1)
    assert [agent.levels.key for agent in own.agents] == ["a1", "a2"]
    some = collect(Asked(root, first=date(2026, 3, 3), last=date(2026, 3, 4)), Profile(), packaged(), MADE)
    assert (some.levels.conversations, some.first, some.last, some.undated) == (2, "2026-03-03", "2026-03-03", 0)
    with pytest.raises(InputError, match="no conversations of vendor 'v9'"):
        collect(Asked(root, vendor="v9"), Profile(), packaged(), MADE)


def agents_of(tmp_path: Path, screener: Screener, *given: tuple[str, int, int]) -> list[Agent]:
    made = [conversation(100 * k + i, bad=i < bad, agent_id=agent) for k, (agent, bad, n) in enumerate(given) for i in range(n)]
    root = scored_archive(tmp_path, screener, msgspec.convert(made, list[Conversation]))
    return list(collect(Asked(root), Profile(), packaged(), MADE).agents)


def test_agents_are_not_ranked_on_noise(tmp_path, screener):
    """Six agents with 4 of 20 (rest: 0.30), one with 15 of 20 (rest: 0.21), one whose only conversation is bad."""
    ordinary = [(name, 4, 20) for name in "fdbace"]
    found = agents_of(tmp_path, screener, *ordinary, ("few", 1, 1), ("worst", 15, 20))
    assert [(agent.levels.key, agent.differs) for agent in found] == [
        ("worst", "more"),
        *((name, None) for name in ("a", "b", "c", "d", "e", "f", "few")),
    ]
    assert (found[0].graded, found[-1].graded) == (Share(15, 20), Share(1, 1))


def test_quantiles_by_hand():
    held = spread({1: 5, 2: 4, 9: 1}, 22.0)
    assert (held.n, held.mean, held.median, held.p90, held.maximum) == (10, 2.2, 1, 2, 9)
    assert spread({}, 0.0).n == 0


def test_names_of_durations():
    assert [duration(s) for s in (0, 119.4, 120, 3661, 7200)] == ["0 秒", "119 秒", "2 分", "61 分 1 秒", "2 小时 0 分"]
    assert [bin_name(end) for end in (5, 300, 14400, None)] == ["≤5 秒", "≤5 分", "≤4 时", "更长"]


def test_a_chart_leaves_gaps_and_cuts_what_rests_on_few():
    made = chart(["a", "b", "c"], [("x", [10.0, None, 30.0])], [50, 0, 1], "%", intervals=[(5, 20), None, (1, 99)], ceiling=100.0)
    assert [point.title for point in made.series[0].points] == ["a  x 10%（n = 50）", "c  x 30%（n = 1）"]
    assert made.series[0].paths == ()  # no line over the gap
    assert [tick.label for tick in made.y_ticks] == ["0%", "10%", "20%", "30%"]  # 99 is the end of one conversation's interval
    assert len(made.bands) == 2
    assert made.most == 50


class _Page(HTMLParser):
    void = frozenset({"meta", "link", "br", "img", "line", "rect", "path", "circle", "polygon"})

    def __init__(self, page: str):
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        assert not {name for name, _ in attrs} & {"src", "srcset", "onclick"}
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.void:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data.split()


def test_the_page_is_whole_and_asks_for_nothing(period):
    page = render(period)
    read = _Page(page)
    assert read.open == []
    assert re.findall("https?:|//|url\\(|@import", page) == []
    assert "<script" not in page
    assert {"满意度", "引流", "a1", "a2", "a3"} <= set(read.words)
    assert BAD not in page


def test_names_are_escaped(period):
    evil = Agent(Tally("<b>", "<b>x</b>", 1), Share(0, 1), Share(0, 0), None)
    page = render(msgspec.structs.replace(period, agents=(evil,), source="<script>alert(1)</script>"))
    assert "<script" not in page
    assert "<b>x</b>" not in page


def test_the_workbook_holds_the_same_figures(period):
    book = CalamineWorkbook.from_filelike(BytesIO(workbook(period)))
    assert book.sheet_names[:4] == ["概览", "趋势", "指标对照", "条款帕累托"]
    clauses = book.get_sheet_by_name("条款帕累托").to_python()
    assert [row[1:7] for row in clauses[1:3]] == [
        ["A.diversion", "引流", "A", 3.0, 0.75, 0.75],
        ["C.process", "未正确执行流程", "C", 1.0, 0.25, 1.0],
    ]
    agents = book.get_sheet_by_name("客服").to_python()
    assert {row[0]: row[1] for row in agents[1:]} == {"a1": 7.0, "a2": 2.0, "a3": 1.0}
    trend = book.get_sheet_by_name("趋势").to_python()
    assert [row[0] for row in trend[1:5]] == ["2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05"]


def test_text_in_a_workbook_is_no_formula(period):
    evil = Agent(Tally("=1+1", "=1+1", 1), Share(0, 1), Share(0, 0), None)
    data = workbook(msgspec.structs.replace(period, agents=(evil,)))
    assert CalamineWorkbook.from_filelike(BytesIO(data)).get_sheet_by_name("客服").to_python()[1][0] == "=1+1"


def cli(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["report", *words])
    return result.exit_code, result.output


def test_the_command_writes_both(root, tmp_path):
    html, xlsx = tmp_path / "r.html", tmp_path / "r.xlsx"
    code, said = cli(root, "--output", str(html), "--xlsx", str(xlsx), "--since", "2026-03-02", "--until", "2026-03-03")
    assert (code, re.sub(r"; see .*", "", said.replace("\n", ""))) == (
        0,
        "6 conversations, 2026-03-02 to 2026-03-03: A 3, B 0, C 1, incomplete 0",
    )
    assert html.stat().st_size > 10_000
    assert xlsx.read_bytes()[:2] == b"PK"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--since", "2026-03-05", "--until", "2026-03-02"), "is after --until"),
        (("--since", "2026-04-01"), "no conversations from 2026-04-01"),
        (("--xlsx", "/nowhere/r.xlsx"), "there is no folder"),
    ],
)
def test_calls_that_cannot_be_carried_out(root, tmp_path, words, told):
    code, said = cli(root, "--output", str(tmp_path / "r.html"), *words)
    assert code == 2
    assert told in said.replace("\n", " ")


def test_a_folder_without_an_archive_and_options_of_archives_on_a_file(tmp_path):
    assert cli(str(tmp_path), "--output", str(tmp_path / "r.html"))[0] == 2
    (tmp_path / "x.jsonl").write_text("{}")
    code, said = cli(str(tmp_path / "x.jsonl"), "--output", str(tmp_path / "r.html"), "--vendor", "v1")
    assert code == 2
    assert "scored archive" in said
