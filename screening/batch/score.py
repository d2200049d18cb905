"""One chunk scored: rows in, part files out. Every engine runs this one function."""

from collections.abc import Callable, Sequence
from zoneinfo import ZoneInfo

import msgspec
import pyarrow as pa

from screening.batch import columns, shuffle
from screening.batch.assemble import Input, inputs
from screening.batch.columns import Scored
from screening.batch.counts import Counts, counted
from screening.batch.schemas import DATASETS, LINES
from screening.batch.work import PARTS, Work
from screening.detect.conduct.facts import Facts
from screening.errors import InputError
from screening.pipeline import Screener
from screening.replay import encode
from screening.types import Conversation, Screening

Opened = Callable[[], Screener]
"""Builds a worker's own screener; it is sent to other processes."""


class Scorer:
    """A worker's screener and the run that it works for; raises `InputError` where its versions are not the run's."""

    def __init__(self, root: str, opened: Opened):
        self._work = Work.at(root)
        self._manifest = self._work.manifest()
        self._screener = opened()
        self._zone = ZoneInfo(self._manifest.zone)
        if self._screener.versions != self._manifest.versions:
            raise InputError("this worker has other versions than the run began with; install the same ones everywhere")

    def score(self, number: int) -> Counts:
        """Score a chunk, write its part files, and at last its counts: they say that it is done. Doing it twice writes the same bytes."""
        given = list(inputs(shuffle.chunk(self._work.state, number), self._manifest.sources, self._zone))
        scored, refusals = self._scored(given)
        datasets = self._datasets(scored)
        datasets["refused"] = {"": columns.refused(sorted(refusals))} if refusals else {}
        counts = counted(scored, self._zone, len(refusals))
        for name, days in datasets.items():
            if days:
                counts.datasets[name] = sorted(days)
                with self._work.state.sink(part(number, name)) as sink, pa.ipc.new_file(sink, DATASETS[name]) as writer:
                    for day in sorted(days):
                        writer.write_batch(days[day])
        self._work.state.write(f"{PARTS}/{number:05}.json", msgspec.json.encode(counts))
        return counts

    def _datasets(self, scored: Sequence[Scored]) -> dict[str, dict[str, pa.RecordBatch]]:
        if self._manifest.format == "parquet":
            return columns.tables(scored, self._zone, keep=self._manifest.keep)
        places = pa.array([one.place for one in scored], pa.int64())
        lines = pa.array([encode(one.screening) for one in scored], pa.binary())
        return {"lines": {"": pa.record_batch([places, lines], schema=LINES)}} if scored else {}

    def _scored(self, given: Sequence[Input]) -> tuple[list[Scored], list[tuple[int, str, int, str, str | None]]]:
        """The conversations with their screenings by place, and the refusals."""
        sources = self._manifest.sources
        good = sorted((one for one in given if one.conversation is not None), key=lambda one: one.place)
        outcomes = screened(self._screener, [one.conversation for one in good if one.conversation is not None])
        scored: list[Scored] = []
        refusals = [
            (one.place, sources[one.source].name, one.row, one.reason, one.id) for one in given if one.conversation is None
        ]
        for one, outcome in zip(good, outcomes, strict=True):
            name = sources[one.source].name
            if isinstance(outcome, InputError):
                refusals.append((one.place, name, one.row, str(outcome), one.id))
            elif one.conversation is not None:
                scored.append(Scored(one.place, name, one.row, one.conversation, *outcome))
        return scored, refusals


def part(number: int, dataset: str) -> str:
    """The file of a chunk's rows of a dataset."""
    return f"{PARTS}/{number:05}.{dataset}.arrow"


def screened(screener: Screener, conversations: Sequence[Conversation]) -> list[tuple[Screening, Facts] | InputError]:
    """A screening for each with its facts, or why it cannot be read."""
    try:
        return list(screener.screen_with_facts(conversations))
    except InputError as error:
        if len(conversations) == 1:
            return [error]
    return [outcome for one in conversations for outcome in screened(screener, [one])]
