"""The local engine: one process a core, each with its own screener; between them go chunk numbers and counts, the rows by files."""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, get_context, parent_process

import msgspec

from screening.batch.counts import Counts
from screening.batch.score import Opened, Scorer
from screening.errors import InputError

_AHEAD = 2
"""Chunks handed out per worker, so that none waits and little is left to stop."""
_own: list[Scorer | Exception] = []


def run(root: str, chunks: Sequence[int], opened: Opened, workers: int) -> Iterator[tuple[int, Counts]]:
    """Score the chunks and yield (chunk, its counts) as they end; closing the iterator stops after those begun."""
    waiting = iter(chunks)
    pool = ProcessPoolExecutor(
        min(workers, len(chunks)) or 1, mp_context=get_context("spawn"), initializer=_begin, initargs=(root, opened)
    )
    try:
        going: dict[Future[bytes], int] = {}
        while True:
            for number in waiting:
                going[pool.submit(_score, number)] = number
                if len(going) >= workers * _AHEAD:
                    break
            if not going:
                return
            for future in wait(going, return_when=FIRST_COMPLETED).done:
                yield going.pop(future), msgspec.json.decode(future.result(), type=Counts)
    except BrokenProcessPool:
        left = ", ".join(map(str, sorted(going.values())))
        raise InputError(
            f"a worker process died (out of memory, or killed) over one of the chunks {left}; what is done is kept: "
            "go on with --resume, with fewer --workers if memory was short"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def alone(root: str, chunks: Sequence[int], opened: Opened) -> Iterator[tuple[int, Counts]]:
    """Score the chunks in this process."""
    scorer = Scorer(root, opened)
    for number in chunks:
        yield number, scorer.score(number)


def _begin(root: str, opened: Opened) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent lets chunks end that were begun
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _own[:] = [Scorer(root, opened)]
    except Exception as error:  # raised to the parent by the first chunk; from here it would only be printed
        _own[:] = [error]


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _score(number: int) -> bytes:
    if isinstance(_own[0], Exception):
        raise _own[0]
    return msgspec.json.encode(_own[0].score(number))
