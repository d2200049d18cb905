"""Scored archives for tests, made by a real batch run in this process."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from screening.batch import local
from screening.batch.reading import Options
from screening.batch.run import Asked, Progress, run
from screening.batch.sources import expand
from screening.batch.summary import finish
from screening.batch.work import Work
from screening.pipeline import Screener
from screening.types import Conversation


def scored_archive(root: Path, screener: Screener, conversations: Iterable[Conversation], *, keep: bool = True) -> str:
    """Scores conversations into `root`/archive and gives that folder."""
    given = root / "given.jsonl"
    given.write_bytes(b"".join(msgspec.json.encode(conversation) + b"\n" for conversation in conversations))
    asked = Asked(str(root / "archive"), expand([str(given)]), Options(), "parquet", keep, False, 1 << 26)
    progress = Progress(lambda source, rows: None, lambda rows, total, counts: None)
    finish(Work.at(asked.out), run(asked, lambda: screener, local.alone, progress))
    return asked.out
