import io
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from api.cli import app
from lexicons.schema import Clause, Standard
from lexicons.signals import SIGNALS
from screening.report import names
from screening.report.case import duration
from screening.report.data import Collector, RefusedInput, Report
from screening.report.html import render
from screening.report.spans import Mark, pieces, runs, visible
from screening.report.summary import print_summary
from screening.types import Candidate, Conversation, Failure, Flag, Screening, Source, Turn, Versions

ZONE = ZoneInfo("Asia/Shanghai")
VERSIONS = Versions("0.1", "n1", "sha256:lex", {}, {"house": "1"}, "sha256:set", "engine 1")
CLAUSES = (
    Clause("A.diversion", "A", "引流", "把客户带走。", "第一条", ("text",), ("diversion.private_contact",), points=50),
    Clause("B.attitude", "B", "服务态度", "不耐烦。", "第二条", ("text",), ("rudeness.impatience",), points=10),
    Clause("C.process", "C", "流程", "响应过慢。", "第三条", ("turns",), ("response.slow",)),
    Clause("C.answer", "C", "解答错误", "答错。", "第四条", ("human",), (), human_reason="要对照业务知识"),
)
HOUSE = Standard("house", "本店标准", "手册", "1", True, CLAUSES, ("A", "B", "C"))
CLAUSE_OF = {signal: clause for clause in CLAUSES for signal in clause.signals}


def flag(text, quote, signal="diversion.private_contact", turn=0, kind="rule", **more):
    start = text.index(quote)
    source = Source(kind, "some-rule", 3, prior=True)
    return Flag(signal, turn, start, start + len(quote), quote, 0.75, more.pop("status", "active"), source, "因为如此", **more)


def whole(signal="response.slow", turn=None, text="", kind="conduct", status="active"):
    span = (None, None) if turn is None else (0, len(text))
    return Flag(signal, turn, *span, text if turn is not None else "", 0.5, status, Source(kind, "mean", 1), "超过规定")


def screening(name, *flags, complete=True):
    by_clause: dict[str, list[int]] = {}
    for i, f in enumerate(flags):
        if f.status == "active":
            by_clause.setdefault(CLAUSE_OF[f.signal].id, []).append(i)
    clauses = {clause.id: clause for clause in CLAUSES}
    found = tuple(
        Candidate("house", key, clauses[key].level, clauses[key].title, 0.75, tuple(i), False, clauses[key].points)
        for key, i in sorted(by_clause.items())
    )
    failures = () if complete else (Failure("rules", "MemoryError", 0),)
    return Screening(name, complete, (), tuple(flags), found, found[0].level if found else None, VERSIONS, failures)


def talk(name, *texts, agent="a1", **more):
    turns = tuple(Turn("agent", text, datetime(2026, 3, 1, 17, i, tzinfo=UTC)) for i, text in enumerate(texts))
    return Conversation(name, turns, agent_id=agent, **more)


def collected(*pairs, refused=(), shown_at_most=100) -> Report:
    collector = Collector([HOUSE], ZONE, shown_at_most)
    for refusal in refused:
        collector.refuse(refusal)
    for conversation, result in pairs:
        collector.add(conversation, result)
    return collector.report("talks.jsonl", datetime(2026, 3, 2, 1, tzinfo=UTC), VERSIONS)


class Page(HTMLParser):
    """What a browser makes of the page: shown bubbles, marked words by flag, elements and references."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.case = ""
        self.bubbles: list[tuple[str, str, list[str]]] = []
        self.marked: dict[tuple[str, int], str] = {}
        self.clauses: set[tuple[str, str]] = set()
        self.ids: dict[str, str] = {}
        self._inside: list[int] = []
        self._saying = self._naming = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        classes = (attributes.get("class") or "").split()
        self.tags.append((tag, attributes))
        if "case" in classes:
            self.case = attributes["id"]
        if attributes.get("data-clause"):
            self.clauses.add((self.case, attributes["data-clause"]))
        if "say" in classes:
            self._saying = True
            self.bubbles.append((self.case, "", classes))
        if tag == "mark":
            self._inside = [int(number) for number in attributes["data-flags"].split()]
        if "ghost" in classes:
            character = chr(int(re.search(r"U\+([0-9A-F]+)", attributes["title"])[1], 16))
            self.handle_data(character)
        self._naming = "id" in classes

    def handle_endtag(self, tag):
        if tag == "p":
            self._saying = False
        if tag == "mark":
            self._inside = []
        self._naming = False

    def handle_data(self, data):
        if self._naming:
            self.ids[data] = self.case
        if self._saying:
            case, text, classes = self.bubbles[-1]
            self.bubbles[-1] = case, text + data, classes
            for number in self._inside:
                self.marked[case, number] = self.marked.get((case, number), "") + data


def sample_report() -> Report:
    words, rude = "加我微信吧", "你自己不会看吗"
    return collected(
        (talk("c1", words, vendor_id="v1"), screening("c1", flag(words, "加我微信"))),
        (talk("c2", rude, words), screening("c2", flag(rude, rude, "rudeness.impatience"), flag(words, "微信", turn=1))),
        (talk("c3", rude, agent="a2"), screening("c3", flag(rude, rude, "rudeness.impatience"))),
        (talk("c4", "好的", agent="a2", channel="phone"), screening("c4", whole())),
        (talk("c5", "不能加微信"), screening("c5", flag("不能加微信", "加微信", status="excused", excused_by="refusal"))),
        (talk("c6", "您好", agent=None), screening("c6", complete=False)),
        (talk("c7", "您好"), screening("c7")),
        (talk("c8", rude), screening("c8", flag(rude, rude, "rudeness.impatience", status="shadow"))),
        refused=[RefusedInput("talks.jsonl", 9, "not JSON")],
    )


def test_headline_numbers():
    totals = sample_report().totals
    levels = totals.levels
    assert (levels.conversations, levels.a, levels.b, levels.c, levels.clear, levels.incomplete) == (8, 2, 1, 1, 3, 1)
    assert (totals.complete, totals.incomplete, totals.candidates, totals.turns, totals.agent_turns) == (7, 1, 5, 9, 9)
    assert (totals.active, totals.shadow, totals.excused, totals.refused) == (5, 1, 1, 1)


def test_an_incomplete_conversation_is_never_counted_as_clear():
    report = collected((talk("c", "您好"), screening("c", complete=False)))
    assert (report.totals.levels.clear, report.totals.levels.incomplete) == (0, 1)
    assert [case.id for case in report.cases] == ["c"]
    assert "MemoryError" in render(report)


def test_numbers_per_clause_count_candidates_and_agents_and_keep_the_quiet_clauses():
    rows = {row.clause.id: (row.candidates, row.agents) for row in sample_report().clauses}
    assert rows == {"A.diversion": (2, 1), "B.attitude": (2, 2), "C.process": (1, 1), "C.answer": (0, 0)}


def test_numbers_per_signal():
    rows = {row.signal: (row.active, row.shadow, row.excused, row.conversations) for row in sample_report().signals}
    assert rows["diversion.private_contact"] == (2, 0, 1, 3)
    assert rows["rudeness.impatience"] == (2, 1, 0, 3)
    assert rows["response.slow"] == (1, 0, 0, 1)


def test_numbers_per_agent_vendor_channel_and_day():
    report = sample_report()
    agents = {row.name: (row.conversations, row.a, row.b, row.c, row.incomplete) for row in report.agents}
    assert agents == {"a1": (5, 2, 0, 0, 0), "a2": (2, 0, 1, 1, 0), "未填写": (1, 0, 0, 0, 1)}
    assert [row.name for row in report.agents] == ["a1", "a2", "未填写"]
    assert report.agents[0].rate == pytest.approx(0.4)
    assert {row.key: row.a for row in report.vendors} == {"v1": 1, "": 1}
    assert {row.name: row.conversations for row in report.channels} == {"在线": 7, "电话": 1}
    # 17:00 UTC is the next day in Shanghai.
    assert [(row.key, row.conversations) for row in report.days] == [("2026-03-02", 8)]


def test_cases_come_gravest_first_and_conversations_without_findings_are_not_listed():
    assert [case.id for case in sample_report().cases] == ["c1", "c2", "c3", "c4", "c6", "c5", "c8"]


def test_a_long_list_is_cut_at_the_gravest_and_says_so():
    pairs = [
        (talk(f"b{i}", "你自己不会看吗"), screening(f"b{i}", flag("你自己不会看吗", "自己", "rudeness.impatience")))
        for i in range(3)
    ]
    report = collected(*pairs, (talk("a", "加我微信"), screening("a", flag("加我微信", "微信"))), shown_at_most=2)
    assert [case.id for case in report.cases] == ["a", "b0"]
    assert report.left_out == 2
    assert report.totals.candidates == 4
    assert "其余 2 个有标记的对话" in render(report)


def test_a_flag_under_two_clauses_is_explained_once():
    text = "加我微信"
    both = screening("c", flag(text, "微信"))
    second = Candidate("house", "B.attitude", "B", "服务态度", 0.75, (0,), False, 10)
    both = Screening("c", True, (), both.flags, (*both.candidates, second), "A", VERSIONS, ())
    shown = collected((talk("c", text), both)).cases[0].candidates
    assert [([f.number for f in s.own], s.again) for s in shown] == [([1], ()), ([], (1,))]


def test_every_signal_has_a_chinese_name():
    assert set(names.SIGNALS) == set(SIGNALS)


def test_an_emoji_before_a_span_does_not_shift_it():
    text = "😀👨‍👩‍👧好的，加我微❤️吧"
    html = render(collected((talk("c", text), screening("c", flag(text, "加我微❤")))))
    assert Page(html).marked == {("c1", 1): "加我微❤"}
    assert Page(html).bubbles[0][1] == text


def test_overlapping_nested_and_adjacent_spans_are_cut_at_every_boundary():
    text = "零一二三四五六七八九"
    flags = [flag(text, "一二三四", "rudeness.impatience"), flag(text, "三四五"), flag(text, "四"), flag(text, "六七")]
    page = Page(render(collected((talk("c", text), screening("c", *flags)))))
    assert {number: words for (_, number), words in page.marked.items()} == {1: "一二三四", 2: "三四五", 3: "四", 4: "六七"}
    assert page.bubbles[0][1] == text
    refs = [a["data-no"] for tag, a in page.tags if tag == "a" and a.get("class", "").startswith("ref")]
    assert refs == ["1", "3", "2", "4"]


@st.composite
def marked_texts(draw):
    text = draw(st.text(st.sampled_from("好的a😀\u200b\u200d\ufe0f❤&<\n "), min_size=1, max_size=20))
    ends = st.integers(0, len(text))
    spans = draw(st.lists(st.tuples(ends, ends).filter(lambda s: s[0] < s[1]), max_size=5))
    return text, [Mark(number, *span) for number, span in enumerate(spans, 1)]


@given(marked_texts())
def test_pieces_lose_nothing_and_every_mark_covers_its_words(sample):
    text, marks = sample
    found = pieces(text, marks)
    assert "".join(run.text for piece in found for run in piece.runs) == text
    for mark in marks:
        words = "".join(run.text for piece in found if mark.number in piece.flags for run in piece.runs)
        assert words == text[mark.start : mark.end]
    assert sorted(number for piece in found for number in piece.ends) == [mark.number for mark in marks]


def test_invisible_characters_are_shown_but_emoji_stay_whole():
    assert visible("加\u200b我\u202e微\ufe0f信\x1b") == "加‹ZWSP›我‹RLO›微‹U+FE0F›信‹U+001B›"
    for text in ("👨‍👩‍👧", "❤️", "1️⃣", "👍🏽", "第一行\r\n第二行\t完"):
        assert visible(text) == text
    assert runs("a\u200b")[1].title == "U+200B ZERO WIDTH SPACE"


def test_invisible_characters_in_evidence_have_a_placeholder_with_a_title():
    text = "加\u200b我微信"
    html = render(collected((talk("c", text), screening("c", flag(text, text)))))
    assert 'title="不可见字符 U+200B ZERO WIDTH SPACE"' in html
    assert "\u200b" not in html
    assert Page(html).marked == {("c1", 1): text}


def test_whole_turn_and_conversation_flags_mark_no_words():
    text = "让您久等了"
    slow = whole(turn=0, text=text)
    html = render(collected((talk("c", text), screening("c", slow, whole()))))
    page = Page(html)
    assert page.marked == {}
    assert "whole" in page.bubbles[0][2]
    assert "整个对话 · 平均响应慢：超过规定" in html


def test_excused_and_shadow_flags_are_shown_as_such():
    text = "不能加微信"
    excused = flag(text, "加微信", status="excused", excused_by="unless:不能加")
    html = render(collected((talk("c", text), screening("c", excused))))
    assert re.search(r'<mark class="[^"]*\bexcused\b', html)
    assert "不能加」，属规则写明的例外" in html
    html = render(collected((talk("c", text), screening("c", flag(text, "加微信", status="shadow")))))
    assert re.search(r'<mark class="[^"]*\bshadow\b', html)


def test_pauses_are_told_in_two_units():
    report = collected((talk("c", "您好", "加我微信"), screening("c", flag("加我微信", "微信", turn=1))))
    assert [turn.pause for turn in report.cases[0].turns] == ["", "1 分"]
    assert report.cases[0].turns[0].time == "01:00:00"
    pause = datetime(2026, 3, 3, 2, 0, 5, tzinfo=UTC) - datetime(2026, 3, 2, tzinfo=UTC)
    assert duration(pause) == "1 天 2 小时"


HOSTILE = """<script>alert(1)</script><img src=x onerror="alert(2)"> "双" '单' & </p></details> {{ 7*7 }} ]]> -->"""


def test_hostile_text_stays_text():
    conversation = talk(HOSTILE, HOSTILE, agent=HOSTILE, vendor_id=HOSTILE, customer_id=HOSTILE)
    found = flag(HOSTILE, '"双"', suggestion=HOSTILE)
    refused = [RefusedInput(HOSTILE, 1, HOSTILE, HOSTILE)]
    html = render(collected((conversation, screening(HOSTILE, found)), refused=refused))
    page = Page(html)
    assert page.bubbles[0][1] == HOSTILE
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not any(tag == "img" for tag, _ in page.tags)
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert next(a["data-agent"] for _, a in page.tags if "data-agent" in a) == HOSTILE
    assert "49" not in page.bubbles[0][1]


def test_nothing_to_show_still_makes_a_page():
    html = render(collected())
    assert "没有需要查看的对话" in html


@pytest.fixture(scope="module")
def screened(screener, archive) -> tuple[list[Screening], Report]:
    screenings = list(screener.screen_many(archive))
    collector = Collector([screener.lexicon.standards[name] for name in screener.profile.standards], ZONE)
    for conversation, result in zip(archive, screenings, strict=True):
        collector.add(conversation, result)
    return screenings, collector.report("archive", datetime(2026, 3, 12, tzinfo=UTC), screener.versions)


def test_every_candidate_of_the_archive_stands_with_its_clause_and_its_words(screened):
    screenings, report = screened
    html = render(report)
    page = Page(html)
    found = 0
    for result in screenings:
        for candidate in result.candidates:
            case = page.ids[result.conversation_id]
            assert (case, f"{candidate.standard}/{candidate.clause}") in page.clauses
            for i in candidate.flags:
                one = result.flags[i]
                if one.turn is not None and one.source.kind == "rule":
                    assert page.marked[case, i + 1] == one.quote
                    found += 1
                assert any(a.get("id") == f"{case}-f{i + 1}" for _, a in page.tags)
    assert found > 30
    assert report.totals.candidates == sum(len(result.candidates) for result in screenings)


def test_the_page_asks_for_nothing_from_outside(screened):
    html = render(screened[1])
    assert not re.search(r"https?://|@import|url\(|\bfetch\(|XMLHttpRequest|<link|<iframe|<img", html)
    for _, attributes in Page(html).tags:
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
    assert "default-src 'none'" in html


def test_every_reference_in_the_page_leads_somewhere():
    page = Page(render(sample_report()))
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for _, a in page.tags if "href" in a} <= set(ids)


def test_summary_marks_the_words_and_lets_no_control_character_through():
    text = "前" * 60 + "加我\x1b微信\n吧" + "后" * 60
    report = collected((talk("c\x1b[2J", text), screening("c\x1b[2J", flag(text, "加我\x1b微信"))))
    console = Console(file=io.StringIO(), width=200, color_system=None)
    print_summary(report, console, None)
    shown = console.file.getvalue()
    assert "…" + "前" * 40 + "«加我‹U+001B›微信» 吧" in shown
    assert "\x1b" not in shown
    assert "A.diversion" in shown


@pytest.mark.slow
def test_report_command_lists_refusals_and_ends_with_one(tmp_path):
    source = tmp_path / "talks.jsonl"
    source.write_text('{"id":"c1","turns":[{"role":"agent","text":"加我微信，我私下卖您"}]}\nnot json\n', encoding="utf-8")
    target = tmp_path / "out.html"
    result = CliRunner().invoke(app, ["report", str(source), "--output", str(target)])
    assert result.exit_code == 1
    assert "talks.jsonl:2: not JSON" in result.stderr
    html = target.read_text(encoding="utf-8")
    assert "not JSON" in html
    assert "A.diversion" in html


def test_report_command_refuses_what_it_cannot_read_or_write(tmp_path):
    target = tmp_path / "out.html"
    result = CliRunner().invoke(app, ["report", str(tmp_path / "no.jsonl"), "--output", str(target)])
    assert result.exit_code == 2
    source = tmp_path / "talks.jsonl"
    source.write_text('{"id":"c1","turns":[]}\n', encoding="utf-8")
    result = CliRunner().invoke(app, ["report", str(source), "--output", str(tmp_path / "none" / "out.html")])
    assert result.exit_code == 2
    assert "there is no folder" in result.stderr


@pytest.mark.slow
def test_demo_writes_the_report_into_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["demo", "--no-report"]).exit_code == 0
    assert not list(tmp_path.iterdir())
    result = CliRunner().invoke(app, ["demo"])
    assert result.exit_code == 0
    assert "screening-report.html" in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["screening-report.html"]
