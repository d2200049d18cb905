"""The evaluation as tables, for a terminal or as Markdown."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from screening.evaluate import Evaluation, Tally, share_text


class Sheet(NamedTuple):
    """A titled table of texts; the last row of a tally table is the sum."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def sheets(evaluation: Evaluation) -> list[Sheet]:
    """Every table of an evaluation."""
    found: list[Sheet] = []
    if evaluation.turns:
        found += [
            _tallies("Signals (single turns)", "signal", evaluation.by_signal()),
            _tallies("Families (single turns)", "family", evaluation.by_family()),
            _tallies("Styles (single turns)", "style", evaluation.by_style()),
            _tallies("Clauses (single turns)", "clause", evaluation.clauses_of_turns()),
        ]
        files = [(file, str(finds), str(alone)) for file, (finds, alone) in evaluation.by_file().items()]
        found.append(Sheet("What each rule file adds", ("rule file", "finds", "only it finds"), files))
    if evaluation.conversations:
        found.append(_tallies("Clauses (whole conversations)", "clause", evaluation.by_clause()))
    return found


def headlines(evaluation: Evaluation) -> list[str]:
    """The counts that are no table."""
    positives = sum(bool(record.labels) for record in evaluation.turns)
    lines = [f"{len(evaluation.turns)} turns ({positives} with labels), {len(evaluation.conversations)} whole conversations"]
    if evaluation.turns:
        lines.append(f"hard negatives flagged: {share_text(*evaluation.hard_negatives())}")
        lines.append(f"flags that overlap the marked words: {share_text(*evaluation.spans())}")
    if evaluation.conversations:
        exact = len(evaluation.conversations) - sum(1 for _ in evaluation.clause_mistakes())
        lines.append(f"conversations with exactly the expected clauses: {share_text(exact, len(evaluation.conversations))}")
    return lines


def print_tables(evaluation: Evaluation) -> None:
    """Print everything to standard output."""
    console = Console(width=120)
    for line in headlines(evaluation):
        console.print(line)
    for sheet in sheets(evaluation):
        table = Table(*sheet.columns, title=sheet.title, title_justify="left")
        for row in sheet.rows:
            table.add_row(*row)
        console.print(table)


def markdown(evaluation: Evaluation) -> str:
    """Everything as Markdown."""
    parts = [*(f"- {line}" for line in headlines(evaluation))]
    for sheet in sheets(evaluation):
        parts += ["", f"### {sheet.title}", "", f"| {' | '.join(sheet.columns)} |", "|" + " --- |" * len(sheet.columns)]
        parts += [f"| {' | '.join(row)} |" for row in sheet.rows]
    return "\n".join(parts) + "\n"


def _tallies(title: str, name: str, tallies: dict[str, Tally]) -> Sheet:
    total = Tally(*(sum(values) for values in zip(*tallies.values(), strict=True))) if tallies else Tally(0, 0, 0)
    rows = [(key, share_text(*tally.precision), share_text(*tally.recall)) for key, tally in (*tallies.items(), ("all", total))]
    return Sheet(title, (name, "precision [95 %]", "recall [95 %]"), rows)
