"""One table of the classifier: each tier's speed, the encoder's share of clean traffic, loading, memory. `python -m tests.benchmarks.models [FILE]`."""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from statistics import median

from rich.console import Console
from rich.table import Table

from models.cascade import Cascade
from models.encoder import Encoder
from models.features import TurnText, turn_text
from models.inputs import Row
from screening.normalise.clean import clean_text
from screening.pipeline import Screener
from screening.readers import files
from screening.types import Conversation
from tests.benchmarks.__main__ import clean_traffic, exhaust, seconds

REPETITIONS = 5
ROWS = 400
_LOAD = """
import resource, time
from screening.pipeline import Screener
screener = Screener()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.process_time()
from api.classifiers import opened
detectors = opened()
print(time.process_time() - start, before, end=" ")
screener = Screener(detectors=detectors)
from screening.types import Conversation, Turn
list(screener.screen_many([Conversation(id="c", turns=(Turn("customer", "能加微信吗"), Turn("agent", "可以的，您加一下")))]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def turn_texts(traffic: Sequence[Conversation]) -> list[TurnText]:
    """What the linear tier sees of every agent turn."""
    found = []
    for conversation in traffic:
        roles = [turn.role for turn in conversation.turns]
        cleans = [clean_text(turn.text).clean for turn in conversation.turns]
        found += [turn_text(roles, cleans, i, cleans[i]) for i, role in enumerate(roles) if role == "agent"]
    return found


def rows(cascade: Cascade, traffic: Sequence[Conversation]) -> list[Row]:
    """The first rows of agent turns."""
    found: list[Row] = []
    for conversation in traffic:
        roles = [turn.role for turn in conversation.turns]
        cleans = [clean_text(turn.text).clean for turn in conversation.turns]
        for i, role in enumerate(roles):
            if role == "agent" and cleans[i]:
                found += cascade._rows.rows(roles[max(0, i - 4) : i + 1], cleans[max(0, i - 4) : i + 1], i - max(0, i - 4))
    return found[:ROWS]


def milliseconds(encoder: Encoder, some: Sequence[Row]) -> list[float]:
    """Wall time of each row alone, nothing remembered."""
    times = []
    for row in some:
        encoder._judged.clear()
        start = time.perf_counter()
        encoder.judge([row])
        times.append((time.perf_counter() - start) * 1e3)
    return sorted(times)


def share_read(cascade: Cascade, traffic: Sequence[Conversation]) -> tuple[int, int]:
    """(turns that the encoder reads, agent turns)."""
    counted = 0
    judge = cascade._encoder.judge

    def counting(some: Sequence[Row]) -> object:
        nonlocal counted
        counted += 1
        return judge(some)

    cascade._encoder.judge = counting  # type: ignore[method-assign,assignment]
    exhaust(Screener(detectors=[cascade]).screen_many(traffic))
    cascade._encoder.judge = judge  # type: ignore[method-assign]
    return counted, sum(turn.role == "agent" for conversation in traffic for turn in conversation.turns)


def main() -> None:
    """Measure everything and print the table; FILE: other clean traffic than the sample's."""
    rules = Screener()
    given = [c for c in files.read(sys.argv[1]) if isinstance(c, Conversation)] if len(sys.argv) > 1 else None
    traffic = clean_traffic(rules) if given is None else given
    cascade = Cascade()
    both = Screener(detectors=[cascade])
    texts, some = turn_texts(traffic), rows(cascade, traffic)
    exhaust(both.screen_many(traffic[:100]))
    first, all_signals, alone, together = [], [], [], []
    for _ in range(REPETITIONS):  # interleaved, so that a busy machine slows all alike
        first.append(seconds(lambda: cascade._linear.any(texts)))
        all_signals.append(seconds(lambda: cascade._linear.scores(texts)))
        alone.append(seconds(lambda: exhaust(rules.screen_many(traffic))))
        together.append(seconds(lambda: exhaust(both.screen_many(traffic))))
    times = milliseconds(cascade._encoder, some)
    read, agents = share_read(cascade, traffic)
    load, before, after = subprocess.run([sys.executable, "-c", _LOAD], capture_output=True, check=True, text=True).stdout.split()
    table = Table("measure", "value", title=f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    table.add_row("versions", ", ".join(f"{name} {version(name)}" for name in ("numpy", "onnxruntime", "tokenizers")))
    table.add_row("traffic", f"{len(traffic)} conversations, {agents} agent turns")
    table.add_row("linear tier, any signal", f"{len(texts) / median(first):,.0f} turns/s")
    table.add_row("linear tier, every signal", f"{len(texts) / median(all_signals):,.0f} turns/s")
    tokens = sorted(len(row.ids) for row in some)
    table.add_row("encoder, one row", f"p50 {times[len(times) // 2]:.2f} ms, p99 {times[len(times) * 99 // 100]:.2f} ms")
    table.add_row("  tokens of these rows", f"median {tokens[len(tokens) // 2]}, longest {tokens[-1]}")
    table.add_row("agent turns that the encoder reads", f"{read / agents:.1%}")
    table.add_row("rules alone", f"{agents / median(alone):,.0f} agent turns/s")
    table.add_row("rules and classifier", f"{agents / median(together):,.0f} agent turns/s")
    table.add_row("loading the classifier", f"{float(load):.2f} CPU s")
    table.add_row("memory, rules alone / with classifier", f"{int(before) / 1024:,.0f} / {int(after) / 1024:,.0f} MB")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
