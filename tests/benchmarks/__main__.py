"""One table: throughput on clean traffic with each stage's share, latency, start-up, memory, and naive baselines."""

import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from statistics import median
from typing import Any

import jieba
import msgspec
import opencc
from rich.console import Console
from rich.table import Table

from lexicons.load import packaged
from screening.detect import privacy
from screening.detect.reading import Batch
from screening.normalise.clean import CleanBatch
from screening.pipeline import BATCH_TURNS, Screener
from screening.readers.records import from_json
from screening.types import Conversation

COPIES = 20
REPETITIONS = 5
BASELINE_TURNS = 400


def clean_traffic(screener: Screener) -> list[Conversation]:
    """The conversations of the sample archive that raise no active flag, repeated with other ids."""
    lines = files("screening.samples").joinpath("archive.jsonl").read_bytes().splitlines()
    archive = [from_json(line) for line in lines if line.strip()]
    clean = [c for c in archive if not any(f.status == "active" for f in screener.screen(c).flags)]
    return [msgspec.structs.replace(c, id=f"{c.id}-{copy}") for copy in range(COPIES) for c in clean]


def seconds(work: Callable[[], Any]) -> float:
    """Process time of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def exhaust(items: Iterable[Any]) -> None:
    """Consume an iterable."""
    for _ in items:
        pass


def stages(screener: Screener, traffic: list[Conversation]) -> dict[str, Callable[[], None]]:
    """Each stage alone on the whole traffic; `screen_many` is their sum and the assembling."""
    vocabulary, rules, conduct = screener.vocabulary, screener._rules, screener._common.conduct
    texts = [turn.text for c in traffic for turn in c.turns]
    size = BATCH_TURNS * len(traffic) // len(texts)
    batches = [traffic[i : i + size] for i in range(0, len(traffic), size)]
    readings = [reading for batch in batches for reading in Batch(batch, vocabulary).readings()]
    fresh = [reading for batch in batches for reading in Batch(batch, vocabulary).readings()]
    return {
        "clean view": lambda: exhaust(CleanBatch(texts[i : i + 2048]) for i in range(0, len(texts), 2048)),
        "clean view and nomination": lambda: exhaust(Batch(batch, vocabulary) for batch in batches),
        "rules (first look)": lambda: exhaust(rules.detect(reading) for reading in fresh),
        "conduct": lambda: exhaust(conduct.detect(reading) for reading in readings),
        "privacy": lambda: exhaust(privacy.detect(reading) for reading in readings),
    }


def latencies(screener: Screener, traffic: list[Conversation]) -> tuple[float, float]:
    """Median and 99th percentile of screening one agent turn alone, in milliseconds."""
    singles = [Conversation(id=c.id, turns=(turn,)) for c in traffic for turn in c.turns if turn.role == "agent"]
    times = sorted(seconds(lambda one=one: screener.screen(one)) for one in singles[:4000])
    return times[len(times) // 2] * 1e3, times[len(times) * 99 // 100] * 1e3


def start_up(arguments: list[str], cache: str) -> float:
    """CPU seconds of one run of the command line."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "api.cli", *arguments],
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "SCREENING_CACHE": cache},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def naive(texts: list[str], phrases: list[str]) -> None:
    """What is often done: words by jieba, then a loop over the word list."""
    for text in texts:
        words = set(jieba.cut(text))
        for phrase in phrases:
            _ = phrase in words or phrase in text


def main() -> None:
    """Measure everything and print the table."""
    screener = Screener()
    traffic = clean_traffic(screener)
    turns = [turn for c in traffic for turn in c.turns]
    agent = [turn.text for turn in turns if turn.role == "agent"]
    phrases = sorted({phrase for rule in packaged().rules for phrase in rule.any_of})
    converter = opencc.OpenCC("t2s")
    jieba.setLogLevel("WARNING")
    jieba.initialize()
    sample = agent[:BASELINE_TURNS]
    exhaust(screener.screen_many(traffic))

    table = Table("measure", "value", title=f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    table.add_row("versions", ", ".join(f"{n} {version(n)}" for n in ("numpy", "google-re2", "msgspec", "jieba", "opencc")))
    table.add_row("python", platform.python_version())
    table.add_row(
        "traffic",
        f"{len(traffic)} conversations, {len(turns)} turns, {len(agent)} of agents, {len(''.join(agent)) / len(agent):.1f} characters",
    )

    whole: list[float] = []
    loops: list[float] = []
    converted: list[float] = []
    cleaned: list[float] = []
    parts: dict[str, list[float]] = {}
    for _ in range(REPETITIONS):  # interleaved, so that a busy machine slows all alike
        whole.append(seconds(lambda: exhaust(screener.screen_many(traffic))))
        loops.append(seconds(lambda: naive(sample, phrases)) / len(sample))
        converted.append(seconds(lambda: exhaust(converter.convert(text) for text in agent)))
        cleaned.append(seconds(lambda: exhaust(CleanBatch(agent[i : i + 2048]) for i in range(0, len(agent), 2048))))
        for name, work in stages(screener, traffic).items():
            parts.setdefault(name, []).append(seconds(work))
    total = median(whole)
    table.add_row("screen_many", f"{len(agent) / total:,.0f} agent turns/s ({len(turns) / total:,.0f} turns/s)")
    for name, values in parts.items():
        table.add_row(f"  {name}", f"{median(values) / total:.0%} of it")
    table.add_row(
        "naive: jieba and a word-list loop",
        f"{1 / median(loops):,.0f} agent turns/s; screen_many is {len(agent) / total * median(loops):,.1f} times as fast",
    )
    table.add_row(
        "OpenCC call per turn / clean view", f"{median(converted) / median(cleaned):.2f} (above 1: the clean view is faster)"
    )
    p50, p99 = latencies(screener, traffic)
    table.add_row("one agent turn alone", f"p50 {p50:.3f} ms, p99 {p99:.3f} ms")
    table.add_row(
        "memory (largest resident set)",
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB, baselines included",
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "one.jsonl"
        file.write_bytes(msgspec.json.encode(traffic[0]) + b"\n")
        cold = start_up(["screen", str(file)], folder)
        warm = median(start_up(["screen", str(file)], folder) for _ in range(3))
        helped = median(start_up(["--help"], folder) for _ in range(3))
    table.add_row(
        "start-up, CPU seconds",
        f"--help {helped:.2f}, screen of one conversation {cold:.2f} with an empty cache, {warm:.2f} then",
    )
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
