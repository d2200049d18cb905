"""Where a run stands: a live bar on a terminal, a line every ten seconds where standard error is a file or a pipe."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from screening.batch.counts import Counts
from screening.batch.run import Progress

_EVERY = 10.0


@contextmanager
def shown(names: Sequence[str]) -> Iterator[Progress]:
    """Shows a run's progress on standard error."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        lines = _Lines(names)
        yield Progress(lines.reading, lines.scoring)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("reading", total=None, told="")
        rate = _Rate()

        def reading(source: int, rows: int) -> None:
            bar.update(task, completed=rows, told=f"file {source + 1} of {len(names)}")

        def scoring(rows: int, total: int, counts: Counts) -> None:
            bar.update(task, description="scoring", completed=rows, total=total, told=rate.told(counts))

        yield Progress(reading, scoring)


class _Rate:
    """Agent messages a second since the scoring began, and the share of flagged conversations."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def told(self, counts: Counts) -> str:
        now = monotonic()
        if self._first is None:
            self._first = now, counts.agent_turns
        since, before = self._first
        rate = (counts.agent_turns - before) / (now - since) if now > since else 0.0
        share = counts.flagged / counts.total.conversations if counts.total.conversations else 0.0
        return f"{rate:,.0f} agent messages/s, {share:.1%} flagged"


class _Lines:
    """Plain lines for logs."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._last = monotonic()
        self._began: float | None = None
        self._before = 0
        self._rate = _Rate()

    def _due(self) -> bool:
        now = monotonic()
        if now - self._last < _EVERY:
            return False
        self._last = now
        return True

    def reading(self, source: int, rows: int) -> None:
        if self._due():
            _say(f"reading {self._names[source]}: {rows} rows so far")

    def scoring(self, rows: int, total: int, counts: Counts) -> None:
        told = self._rate.told(counts)
        if self._began is None:
            self._began, self._before = monotonic(), rows
        if self._due() or rows == total:
            seconds = monotonic() - self._began
            left = (total - rows) * seconds / (rows - self._before) if rows > self._before else 0.0
            _say(f"scored {rows} of {total} rows, {told}, {left:.0f} s left")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
