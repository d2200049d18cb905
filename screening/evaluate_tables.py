"""The evaluation as tables for a terminal."""

from rich.console import Console
from rich.table import Table

from screening.evaluate import Evaluation, Tally, share_text


def print_tables(evaluation: Evaluation) -> None:
    """Print every table of an evaluation to standard output."""
    console = Console(width=120)
    positives = sum(bool(record.labels) for record in evaluation.turns)
    console.print(f"{len(evaluation.turns)} turns ({positives} with labels), {len(evaluation.conversations)} whole conversations")
    if evaluation.turns:
        console.print(_table("signal (turns)", evaluation.by_signal()))
        console.print(_table("family (turns)", evaluation.by_family()))
        console.print(_table("style (turns)", evaluation.by_style()))
        console.print(_table("clause (turns)", evaluation.clauses_of_turns()))
        flagged, negatives = evaluation.hard_negatives()
        console.print(f"hard negatives flagged: {share_text(flagged, negatives)}")
        console.print(f"spans that overlap the marked words: {share_text(*evaluation.spans())}")
        files = Table("rule file", "finds", "only it finds", title="what each rule file adds", title_justify="left")
        for file, (finds, alone) in evaluation.by_file().items():
            files.add_row(file, str(finds), str(alone))
        console.print(files)
    if evaluation.conversations:
        console.print(_table("clause (whole conversations)", evaluation.by_clause()))


def _table(name: str, tallies: dict[str, Tally]) -> Table:
    table = Table(name, "precision [95 %]", "recall [95 %]")
    for key, tally in tallies.items():
        table.add_row(key, share_text(*tally.precision), share_text(*tally.recall))
    total = Tally(*(sum(values) for values in zip(*tallies.values(), strict=True))) if tallies else Tally(0, 0, 0)
    table.add_section()
    table.add_row("all", share_text(*total.precision), share_text(*total.recall))
    return table
