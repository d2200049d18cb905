"""Several API processes behind one listening socket, forked from one that has loaded rules and classifier: they share its memory.

What a process holds for itself (a live stream, counters, rate limits, what it remembers of keys) no other needs.
"""

import gc
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import NamedTuple

import structlog

from api.jobs import worker
from api.settings import Settings
from screening.pipeline import Screener

_BACKLOG = 2048
_WATCH_SECONDS = 0.2
_PAUSE_SECONDS = 1.0
_log = structlog.get_logger("processes")


class _Child(NamedTuple):
    process: BaseProcess
    target: Callable[[], None]


def listening(settings: Settings) -> socket.socket:
    """The socket that all processes accept from; raises `OSError` where the address is taken."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((settings.host, settings.port))
    except OSError:
        made.close()
        raise
    made.listen(_BACKLOG)
    made.set_inheritable(True)
    return made


def serve(
    settings: Settings, screener: Screener, one: Callable[[socket.socket], None], ready: Callable[[str], None] | None
) -> None:
    """Keep `settings.processes` processes alive that run `one` on the shared socket, and the job workers, until SIGTERM or SIGINT.

    This process forks and waits, nothing else: it never starts a thread, so that a fork is safe at any time.
    """
    shared = listening(settings)
    screener.vocabulary.compile()
    gc.collect()
    gc.freeze()  # a collection in a child would touch, and so copy, what is shared
    stopping = False

    def stop(_: int, __: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    children = [_forked(lambda: one(shared)) for _ in range(settings.processes)]
    if settings.workers:
        children.append(_forked(lambda: _supervise(settings)))
    if ready is not None:
        host, port = shared.getsockname()[:2]
        ready(f"http://{host}:{port}")
    while not stopping:
        time.sleep(_WATCH_SECONDS)
        for number, child in enumerate(children):
            if not child.process.is_alive() and not stopping:
                _log.error("process_died", exit=child.process.exitcode)
                time.sleep(_PAUSE_SECONDS)
                children[number] = _forked(child.target)
    shared.close()
    for child in children:
        child.process.terminate()
    for child in children:
        child.process.join()


def _forked(target: Callable[[], None]) -> _Child:
    process = multiprocessing.get_context("fork").Process(target=_begin, args=(target,))
    process.start()
    return _Child(process, target)


def _begin(target: Callable[[], None]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    target()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _supervise(settings: Settings) -> None:
    stopping = threading.Event()

    def stop(_: int, __: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    worker.supervise(settings, settings.workers, stopping)
