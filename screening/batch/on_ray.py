"""The Ray engine: the same function for each chunk, run by actors of a Ray cluster through Ray Data (the extra `ray`).

Chunks and parts lie in the run's folder, which every node must reach; through Ray's object store go chunk numbers and counts only, so a
worker that dies costs its chunk's time: another does it again and writes the same bytes.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from screening.batch.counts import Counts
from screening.batch.score import Opened, Scorer
from screening.batch.storage import is_address
from screening.errors import InputError

OBJECT_STORE = 80 << 20
"""Bytes of the object store of a cluster that is started here: near the least that Ray takes."""


class _Actor:
    """A worker process; Ray calls it with batches of chunk numbers."""

    def __init__(self, root: str, opened: Opened):
        self._scorer = Scorer(root, opened)

    def __call__(self, batch: pa.Table) -> pa.Table:
        numbers = batch["item"].to_pylist()
        return pa.table({"item": numbers, "counts": [msgspec.json.encode(self._scorer.score(number)) for number in numbers]})


def run(
    root: str, chunks: Sequence[int], opened: Opened, workers: int | None, address: str | None
) -> Iterator[tuple[int, Counts]]:
    """Score the chunks on the cluster at `address`, or on one of this machine's processes; yields (chunk, its counts) as they end."""
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    try:
        import ray.data  # noqa: PLC0415 - an extra
    except ImportError:
        raise InputError("--engine ray needs the extra: pip install 'conversation-screening[ray]'") from None
    cluster: Any = ray  # Ray is typed in part only
    own = not cluster.is_initialized()
    if own:
        _connect(cluster, workers, address)
    try:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        slots = workers or int(cluster.cluster_resources().get("CPU", 1))
        place = root if is_address(root) else str(Path(root).absolute())
        done = ray.data.from_items(list(chunks), override_num_blocks=len(chunks)).map_batches(
            _Actor,
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=min(slots, len(chunks))),
            fn_constructor_args=(place, opened),
            num_cpus=1,
            max_restarts=-1,
            max_task_retries=-1,
        )
        for row in done.iter_rows():
            yield row["item"], msgspec.json.decode(row["counts"], type=Counts)
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None) or error
        raise InputError(f"ray: {str(cause).strip().splitlines()[-1]}; what is done is kept: go on with --resume") from None
    finally:
        if own:
            cluster.shutdown()


def _connect(cluster: Any, workers: int | None, address: str | None) -> None:
    quiet: dict[str, object] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
    try:
        if address is not None:
            cluster.init(address=address, **quiet)
        else:
            os.environ.setdefault("RAY_worker_niceness", "0")  # else its workers yield to everything on this machine
            cluster.init(num_cpus=workers, object_store_memory=OBJECT_STORE, include_dashboard=False, **quiet)
    except (ConnectionError, ValueError) as error:
        raise InputError(f"no Ray cluster at {address}: {error}") from None
