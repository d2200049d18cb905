import os
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest

from screening.pipeline import Screener
from screening.readers.jsonl import read
from screening.samples import ARCHIVE
from screening.types import Conversation, Screening, Turn

SHANGHAI = timezone(timedelta(hours=8))
START = datetime(2026, 3, 2, 10, 0, 0, tzinfo=SHANGHAI)

os.environ.setdefault("SCREENING_CACHE", tempfile.mkdtemp(prefix="screening-cache-"))


def conversation(*turns: tuple, channel: str = "online", **fields: object) -> Conversation:
    """Turns are (role, text[, seconds after the start[, seconds until the speaker stops]])."""
    made = []
    for role, text, *times in turns:
        at = START + timedelta(seconds=times[0]) if times else None
        ends_at = START + timedelta(seconds=times[1]) if len(times) > 1 else None
        made.append(Turn(role, text, at=at, ends_at=ends_at))
    return Conversation(id="c-1", turns=tuple(made), channel=channel, **fields)


def active(screening: Screening, *signals: str) -> list[tuple[str, int | None]]:
    """(signal, turn) of the active flags, only of the given signals (or families ending in a dot) when any are given."""
    return [
        (flag.signal, flag.turn)
        for flag in screening.flags
        if flag.status == "active" and (not signals or flag.signal in signals or flag.signal.split(".")[0] + "." in signals)
    ]


@pytest.fixture(scope="session")
def screener() -> Screener:
    return Screener()


@pytest.fixture(scope="session")
def archive() -> list[Conversation]:
    items = list(read(ARCHIVE, ARCHIVE.name))
    assert all(isinstance(item, Conversation) for item in items)
    return items


@pytest.fixture
def flags_of(screener: Screener) -> Callable[..., list[tuple[str, int | None]]]:
    def found(*turns: tuple, signals: tuple[str, ...] = (), **fields: object) -> list[tuple[str, int | None]]:
        return active(screener.screen(conversation(*turns, **fields)), *signals)

    return found
