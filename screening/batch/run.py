"""A run from inputs to datasets: laid out, scored chunk by chunk by an engine, merged. Every step can be gone on with."""

from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import NamedTuple

import msgspec

from screening.batch import merge, second_pass, shuffle, work
from screening.batch.counts import Counts
from screening.batch.reading import Options
from screening.batch.score import Opened
from screening.batch.sources import Source
from screening.batch.summary import Summary, Timings
from screening.batch.work import PLAN, Format, Manifest, Plan, Work
from screening.errors import InputError
from screening.pipeline import Screener

Engine = Callable[[str, Sequence[int], Opened], Iterator[tuple[int, Counts]]]
"""Scores chunks of the run in a folder and yields (chunk, counts) as they end."""


class Asked(NamedTuple):
    """What a run is to do. `memory`: bytes that laying out may hold at once."""

    out: str
    sources: Sequence[Source]
    options: Options
    format: Format
    keep: bool
    resume: bool
    memory: int


class Progress(NamedTuple):
    """How a run tells where it stands: reading (source, rows so far), then scoring (rows done, of rows, counts so far)."""

    reading: Callable[[int, int], None]
    scoring: Callable[[int, int, Counts], None]


def run(asked: Asked, opened: Opened, engine: Engine, progress: Progress) -> Summary:
    """Score the inputs into the output folder; raises `InputError` for a call that cannot be carried out."""
    own = Work.at(asked.out)
    if work.finished(own):
        raise InputError(f"{asked.out}: holds a finished archive; give another folder")
    screener = opened()
    work.begin(own, _manifest(asked, screener), resume=asked.resume)
    start = perf_counter()
    plan = own.plan() or _laid_out(own, progress.reading, asked.memory)
    read = perf_counter() - start
    total = sum(plan.rows)
    done = own.done()
    counts = Counts()
    for number in done:
        counts.add(msgspec.json.decode(own.state.read(f"{work.PARTS}/{number:05}.json"), type=Counts))
    rows = before = sum(plan.rows[number] for number in done)
    progress.scoring(rows, total, counts)
    start = perf_counter()
    left = [number for number, size in enumerate(plan.rows) if size and number not in done]
    scored_before = counts.agent_turns
    for number, found in engine(asked.out, left, opened) if left else ():
        counts.add(found)
        rows += plan.rows[number]
        progress.scoring(rows, total, counts)
    scored = perf_counter() - start
    start = perf_counter()
    counts = merge.merged(own, asked.format)
    if asked.format == "parquet":
        second_pass.write(own.out, screener.profile, screener.lexicon)
    timings = Timings(read, scored, perf_counter() - start, rows - before, counts.agent_turns - scored_before)
    return Summary.of(own.manifest(), screener.lexicon, counts, timings)


def _manifest(asked: Asked, screener: Screener) -> Manifest:
    return Manifest(
        sources=tuple(asked.sources),
        options=asked.options,
        versions=screener.versions,
        zone=screener.profile.timezone,
        chunks=shuffle.chunks_for(asked.sources),
        format=asked.format,
        keep=asked.keep,
    )


def _laid_out(own: Work, told: Callable[[int, int], None], memory: int) -> Plan:
    work.lay_out_anew(own)
    manifest = own.manifest()
    runs, rows = shuffle.spill(own.state, manifest.sources, manifest.options, manifest.chunks, memory, told)
    plan = Plan(runs, tuple(rows))
    own.state.write(PLAN, msgspec.json.encode(plan))
    return plan
