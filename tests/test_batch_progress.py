import io
import sys

import pytest

from screening.batch import progress
from screening.batch.counts import Counts, Group


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()], ids=["terminal", "pipe"])
def test_a_bar_on_a_terminal_and_lines_in_a_pipe(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress, "_EVERY", 0.0)
    with progress.shown(["a.csv", "b.csv"]) as told:
        told.reading(1, 500)
        told.scoring(0, 1000, Counts())
        told.scoring(1000, 1000, Counts(total=Group(conversations=50), agent_turns=400, flagged=5))
    text = stream.getvalue()
    assert "10.0% flagged" in text and "agent messages/s" in text
    assert ("\x1b[" in text) == stream.isatty()
    if not stream.isatty():
        assert text.splitlines()[0] == "reading b.csv: 500 rows so far" and "scored 1000 of 1000 rows" in text
