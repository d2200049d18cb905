"""Archives: agent messages a second by one and two processes and by Ray, where the time goes, and a naive pipeline beside them.

`python -m tests.benchmarks.batch [--classifier none] [--copies N] [--ray] [--naive]`. The machine is rarely quiet, so CPU seconds stand beside wall seconds.
"""

import argparse
import os
import platform
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jieba
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from api.batch import opened
from lexicons.load import packaged
from screening.batch import columns, local, on_ray, shuffle
from screening.batch.assemble import inputs
from screening.batch.counts import Counts
from screening.batch.reading import Options, batches
from screening.batch.run import Asked, Progress, run
from screening.batch.score import Scorer
from screening.batch.sources import expand
from screening.batch.work import Work
from screening.pipeline import Screener
from screening.readers import files
from screening.types import Conversation
from tests.benchmarks.__main__ import clean_traffic, exhaust, naive, seconds

BAD = 0.01
SAMPLE = 200


def traffic(screener: Screener, copies: int) -> list[Conversation]:
    """Clean conversations of the sample archive with 1 % of its bad ones among them, each under an id of its own."""
    clean = clean_traffic(screener)
    known = {c.id.rpartition("-")[0] for c in clean}
    archive = files.read(str(Path(files.__file__).parents[1] / "samples" / "archive.jsonl"))
    bad = [c for c in archive if isinstance(c, Conversation) and c.id not in known]
    mixed = [*clean, *bad[: max(1, round(BAD * len(clean)))]]
    return [msgspec.structs.replace(c, id=f"{c.id}-{n}") for n in range(copies) for c in mixed]


def write(path: Path, some: list[Conversation]) -> int:
    """One row a message, as Parquet; gives the agent's messages."""
    rows = [
        {"conversation_id": c.id, "role": t.role, "text": t.text, "at": t.at, "channel": c.channel, "agent_id": c.agent_id}
        for c in some
        for t in c.turns
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return sum(row["role"] == "agent" for row in rows)


class Clocked:
    """An engine that tells how long its chunks took, its start not counted."""

    def __init__(self, engine: Callable[..., Iterator[tuple[int, Counts]]]):
        self._engine = engine
        self.wall = self.agent_turns = 0.0

    def __call__(self, root: str, chunks: Any, own: Any) -> Iterator[tuple[int, Counts]]:
        """Scores; counts from the end of the first chunk on."""
        begun = None
        for number, counts in self._engine(root, chunks, own):
            now = time.perf_counter()
            begun, before = (now, True) if begun is None else (begun, False)
            if not before:
                self.wall = now - begun
                self.agent_turns += counts.agent_turns
            yield number, counts


def cpu() -> float:
    """CPU seconds of this process and of its children that ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def scored(folder: Path, name: str, own: Callable[[], Screener], engine: Clocked) -> float:
    """CPU seconds of a whole run."""
    asked = Asked(str(folder / name), expand([str(folder / "in.parquet")]), Options(), "parquet", False, False, 64 << 20)
    before = cpu()
    run(asked, own, engine, Progress(lambda *_: None, lambda *_: None))
    return cpu() - before


def stages(folder: Path, own: Callable[[], Screener]) -> dict[str, float]:
    """CPU seconds of each step of the work on all chunks, one after the other in this process."""
    work = Work.at(str(folder / "stages"))
    asked = Asked(work.out.root, expand([str(folder / "in.parquet")]), Options(), "parquet", False, False, 64 << 20)
    run(asked, own, lambda *_: iter(()), Progress(lambda *_: None, lambda *_: None))  # laid out, nothing scored
    scorer = Scorer(work.out.root, own)
    plan = work.plan()
    assert plan is not None
    found = {"read the file": seconds(lambda: exhaust(batches(asked.sources[0], 0, Options())))}
    numbers = range(len(plan.rows))
    tables = [shuffle.chunk(work.state, number) for number in numbers]
    found["read the chunks"] = seconds(lambda: exhaust(shuffle.chunk(work.state, number) for number in numbers))
    given = [list(inputs(table, asked.sources, scorer._zone)) for table in tables]
    found["assemble"] = seconds(lambda: exhaust(one for table in tables for one in inputs(table, asked.sources, scorer._zone)))
    results: list[Any] = []
    found["screen"] = seconds(lambda: results.extend(scorer._scored(own)[0] for own in given))
    found["columns"] = seconds(lambda: exhaust(columns.tables(own, scorer._zone, keep=False) for own in results))
    return found


def transformer() -> Callable[[str], Any]:
    """A text-classification pipeline over a small BERT; its weights are random, which costs the same time."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast, pipeline

    torch.set_num_threads(1)
    words = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "[PAD]": 3} | {chr(0x4E00 + i): i + 4 for i in range(20000)}
    plain = Tokenizer(models.WordPiece(words, unk_token="[UNK]"))
    plain.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, unk_token="[UNK]", pad_token="[PAD]")
    config = BertConfig(
        vocab_size=len(words), hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024
    )
    return pipeline("text-classification", model=BertForSequenceClassification(config).eval(), tokenizer=tokenizer, device="cpu")


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--classifier", default=None)
    parser.add_argument("--copies", type=int, default=4)
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--naive", action="store_true")
    asked = parser.parse_args()
    own = partial(opened, None, None, asked.classifier)
    table = Table("measure", "value", title=f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        screener = Screener()
        some = traffic(screener, asked.copies)
        agent = write(folder / "in.parquet", some)
        table.add_row("traffic", f"{len(some)} conversations, {agent} agent messages, one row a message, Parquet")
        shuffle.CHUNK_BYTES = 1 << 18
        engines = {"1 process": partial(local.run, workers=1), "2 processes": partial(local.run, workers=2)}
        if asked.ray:
            engines["Ray, 2 processes"] = partial(on_ray.run, workers=2, address=None)
        for name_, engine in engines.items():
            clocked = Clocked(engine)
            spent = scored(folder, name_, own, clocked)
            rate = clocked.agent_turns / clocked.wall if clocked.wall else 0.0
            table.add_row(name_, f"{rate:,.0f} agent messages/s of wall time, {agent / spent:,.0f} per CPU second, start and all")
        found = stages(folder, own)
        total = sum(found.values())
        table.add_row("one core without start and writing", f"{agent / total:,.0f} agent messages per CPU second")
        for step, spent in found.items():
            table.add_row(f"  {step}", f"{spent / total:.1%} of it")
        if asked.naive:
            texts = [turn.text for c in some[:SAMPLE] for turn in c.turns if turn.role == "agent"][:SAMPLE]
            phrases = sorted({phrase for rule in packaged().rules for phrase in rule.any_of})
            classify = transformer()
            classify(texts[0])
            jieba.setLogLevel("WARNING")
            jieba.initialize()
            spent = seconds(lambda: (naive(texts, phrases), exhaust(classify(text) for text in texts)))
            table.add_row(
                "naive pipeline",
                f"{len(texts) / spent:,.0f} messages per CPU second: {agent / total * spent / len(texts):,.0f} times slower",
            )
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
