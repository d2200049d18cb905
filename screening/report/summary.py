"""The report in the terminal: headline numbers, clauses, agents, and the first grave candidates with their words marked."""

import re
from collections.abc import Iterator
from pathlib import Path

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from screening.report.case import Case, ShownCandidate, ShownFlag
from screening.report.data import Report, Tally
from screening.report.spans import Run, visible

STYLES = {"A": "bold red", "B": "yellow", "C": "blue"}
FIRST_CANDIDATES = 5
FIRST_AGENTS = 10
_AROUND = 40
_LINES = re.compile(r"[\r\n\t]+")


def print_summary(report: Report, console: Console, written: Path | None) -> None:
    """Print the summary; `written` is where the HTML report stands, if it was made."""
    console.print(_headline(report))
    if report.totals.candidates:
        console.print(_clauses(report))
        console.print(_agents(report))
    for case, shown in _gravest(report):
        _print_candidate(case, shown, console)
    if report.totals.incomplete:
        console.print(Text(f"{report.totals.incomplete} 个对话未筛查完，须由人工查看 · incomplete, for a person", "bold magenta"))
    if report.totals.refused:
        console.print(Text(f"{report.totals.refused} 条输入被拒收 · refused inputs", "bold magenta"))
    if written is not None:
        console.print(Text.assemble("报告 report  ", (visible(str(written)), "bold cyan")), soft_wrap=True)


def _headline(report: Report) -> Text:
    levels = report.totals.levels
    text = Text.assemble(
        ("客服会话质检 ", "bold"),
        f"{visible(report.source)} · {'、'.join(standard.title for standard in report.standards)}\n",
        ("对话 conversations ", "dim"),
        (f"{levels.conversations}", "bold"),
    )
    for level, count in (("A", levels.a), ("B", levels.b), ("C", levels.c)):
        text.append(f"   {level} ", STYLES[level])
        text.append(f"{count}", "bold")
    text.append("   无候选 none ", "dim").append(f"{levels.clear}\n", "bold")
    text.append("候选 candidates ", "dim").append(f"{report.totals.candidates}", "bold")
    text.append("   标记 flags ", "dim").append(f"{report.totals.active}", "bold")
    text.append("   未筛查完 incomplete ", "dim").append(f"{report.totals.incomplete}\n", "bold")
    return text


def _clauses(report: Report) -> Table:
    table = Table(title="按条款 by clause", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("级", justify="center")
    table.add_column("条款 clause", no_wrap=True)
    table.add_column("名称 title", no_wrap=True)
    table.add_column("候选", justify="right")
    table.add_column("客服", justify="right")
    found = [row for row in report.clauses if row.candidates]
    for row in sorted(found, key=lambda row: (row.clause.level, -row.candidates)):
        style = STYLES[row.clause.level]
        table.add_row(Text(row.clause.level, style), row.clause.id, Text(row.clause.title), str(row.candidates), str(row.agents))
    return table


def _agents(report: Report) -> Table:
    table = Table(title="按客服 by agent", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("客服 agent")
    table.add_column("对话", justify="right")
    for level, style in STYLES.items():
        table.add_column(level, justify="right", header_style=style)
    table.add_column("有候选", justify="right")
    for row in report.agents[:FIRST_AGENTS]:
        table.add_row(Text(visible(row.name)), str(row.conversations), *_counts(row), f"{row.rate:.0%}")
    left = len(report.agents) - FIRST_AGENTS
    if left > 0:
        table.caption_justify = "left"
        table.caption = f"其余 {left} 位客服见报告 · {left} more in the report"
    return table


def _counts(row: Tally) -> Iterator[Text]:
    for level, count in (("A", row.a), ("B", row.b), ("C", row.c)):
        yield Text(str(count), STYLES[level] if count else "dim")


def _gravest(report: Report) -> list[tuple[Case, ShownCandidate]]:
    """The first A candidates, of different clauses as far as there are some: five of one kind would show one thing."""
    found = [(case, shown) for case in report.cases for shown in case.candidates if shown.candidate.level == "A"]
    first: dict[str, tuple[Case, ShownCandidate]] = {}
    for case, shown in found:
        if shown.own and shown.own[0].turn is not None:
            first.setdefault(shown.clause.id, (case, shown))
    return list(first.values())[:FIRST_CANDIDATES]


def _print_candidate(case: Case, shown: ShownCandidate, console: Console) -> None:
    flag = shown.own[0]
    console.print(
        Text.assemble(
            (f" {shown.candidate.level} ", "bold white on red"),
            (f" {shown.clause.title} ", "bold"),
            (f"{shown.candidate.clause} · {visible(case.id)}", "dim"),
            (f" · 客服 {visible(case.agent)}" if case.agent else "", "dim"),
        )
    )
    text = _turn(case, flag, coloured=console.color_system is not None)
    console.print(Padding(text, (0, 0, 0, 4), expand=False))
    console.print(Padding(Text(f"{flag.why} [{flag.signal}]\n", "dim"), (0, 0, 0, 4), expand=False))


def _turn(case: Case, flag: ShownFlag, *, coloured: bool) -> Text:
    """The turn with the flag's words marked, by «» where there is no colour; a long turn is cut around them."""
    turn = case.turns[(flag.turn or 1) - 1]
    parts = [("".join(_plain(run) for run in p.runs), flag.number in p.flags) for p in turn.pieces]
    marked = [i for i, (_, inside) in enumerate(parts) if inside] or [0]
    before = "".join(part for part, _ in parts[: marked[0]])
    after = "".join(part for part, _ in parts[marked[-1] + 1 :])
    text = Text(f"{turn.role_name}：", "dim")
    text.append(before if len(before) <= _AROUND else "…" + before[-_AROUND:], "default not dim")
    words = "".join(part for part, _ in parts[marked[0] : marked[-1] + 1])
    if flag.whole:
        text.append(words, "not dim underline")
    else:
        text.append(words if coloured else f"«{words}»", "not dim bold reverse")
    return text.append(after if len(after) <= _AROUND else after[:_AROUND] + "…", "default not dim")


def _plain(run: Run) -> str:
    return f"‹{run.label}›" if run.label else _LINES.sub(" ", run.text)
