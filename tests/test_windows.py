"""Judging the last turn of a window gives what the screening of the whole conversation says of that turn."""

from collections.abc import Iterator, Sequence

import msgspec
import pytest

from screening.pipeline import Screener
from screening.types import Conversation, Flag
from tests.conftest import conversation

WORDS = ("rule", "privacy", "model")


def windows(whole: Conversation, size: int) -> Iterator[tuple[int, Conversation]]:
    for i in range(len(whole.turns)):
        yield i, msgspec.structs.replace(whole, turns=whole.turns[max(0, i + 1 - size) : i + 1])


def by_words(flags: Sequence[Flag], turn: int) -> list[Flag]:
    return [flag for flag in flags if flag.turn == turn and flag.source.kind in WORDS]


def differing(screener: Screener, archive: Sequence[Conversation], size: int) -> list[tuple[str, int]]:
    wrong = []
    for whole in archive:
        flags = screener.screen(whole).flags
        pairs = list(windows(whole, size))
        judged = screener.classified(screener.windows([window for _, window in pairs], [i for i, _ in pairs]))
        for (i, _), own in zip(pairs, judged, strict=True):
            moved = [msgspec.structs.replace(flag, turn=i) for flag in own.screening.flags]
            wanted = by_words(flags, i)
            hidden = {flag.signal for flag in flags if flag.turn == i and flag.source.kind == "conduct"}
            if [f for f in moved if f.signal not in hidden] != [f for f in wanted if f.signal not in hidden]:
                wrong.append((whole.id, i))
    return wrong


def test_rules_say_of_a_window_what_they_say_of_the_whole(screener: Screener, archive: list[Conversation]) -> None:
    assert differing(screener, archive, 9) == []


@pytest.mark.slow
def test_the_classifier_says_of_a_window_what_it_says_of_the_whole(cascade, archive: list[Conversation]) -> None:
    assert differing(Screener(detectors=(cascade,)), archive, 9) == []


def test_what_stands_before_is_context_only(screener: Screener) -> None:
    insulted = conversation(
        ("customer", "能便宜点吗"), ("agent", "你是不是脑子有病"), ("customer", "你说什么"), ("agent", "请稍等")
    )
    assert [f.turn for f in screener.screen(insulted).flags if f.signal == "rudeness.abuse"] == [1]
    (judged,) = screener.classified(screener.windows([insulted]))
    assert judged.screening.flags == ()
    assert "hold" in judged.seen.kinds
    assert judged.seen.human


def test_without_its_classifier_a_window_is_not_complete(cascade) -> None:
    screener = Screener(detectors=(cascade,))
    windows = screener.windows([conversation(("agent", "你是不是脑子有病"))])
    (rules,), (both,) = screener.by_rules(windows), screener.classified(windows)
    assert (rules.screening.complete, rules.screening.not_checked) == (False, (cascade.name,))
    assert (both.screening.complete, both.screening.not_checked) == (True, ())
    assert [flag.signal for flag in rules.screening.flags] == ["rudeness.abuse"]
