"""The worker process: takes blocks until it is told to stop; `supervise` keeps a number of them alive."""

import multiprocessing
import os
import secrets
import signal
import socket
import threading
import time
from multiprocessing.process import BaseProcess
from types import FrameType

import msgspec
import structlog
from sqlalchemy import select

from api import logs, wiring
from api.clock import SECOND, Clock, system_clock
from api.jobs import ingest, leases, spool, work
from api.settings import Settings
from api.store import migrations
from api.store.tables_jobs import Job
from api.wiring import Service

_IDLE_SECONDS = (0.1, 1.0)
_AWAY_SECONDS = (0.5, 15.0)
_ALIVE_SECONDS = 0.5
_STEADY_SECONDS = 30.0
_KEPT_SECONDS = 24 * 3600
NEVER = threading.Event()
"""For who does not mean to stop."""
_log = structlog.get_logger("worker")


def open_service(settings: Settings, clock: Clock = system_clock) -> Service:
    """The service as a worker needs it: the screener at hand, no screening thread. Raises `LexiconError` or `InputError`."""
    service = wiring.build(settings, clock)
    service.engine.swap(service.follower.opened(wiring.open_screener(settings)))
    return service


def run(service: Service, stopping: threading.Event) -> None:
    """Take one block after the other; returns when the block in work is done after `stopping` was set.

    While the store is away it waits and tries again.
    """
    worker = f"{socket.gethostname()[:100]}-{os.getpid()}-{secrets.token_hex(4)}"
    _log.info("worker_started", worker=worker)
    idle, away = _IDLE_SECONDS[0], _AWAY_SECONDS[0]
    while not stopping.is_set():
        try:
            found = step(service, worker, stopping)
        except work.STORE_AWAY as error:
            # the statement and its values are left out: they may hold conversation text
            _log.error("store_unavailable", error=type(error.__cause__ or error).__name__)
            stopping.wait(away)
            away = min(2 * away, _AWAY_SECONDS[1])
            continue
        away = _AWAY_SECONDS[0]
        if found:
            idle = _IDLE_SECONDS[0]
        else:
            stopping.wait(idle)
            idle = min(1.5 * idle, _IDLE_SECONDS[1])
    _log.info("worker_stopped", worker=worker)


def step(service: Service, worker: str, stopping: threading.Event) -> bool:
    """Take and do one block; False where there is none."""
    length = service.settings.lease_seconds * SECOND
    lease = leases.claim(service.store, worker, service.clock(), length)
    if lease is None:
        return False
    try:
        service.follower.follow()
        work.do(service, lease, stopping.is_set)
    except work.STORE_AWAY:
        work.hand_back(service, lease)
        raise
    return True


def drain(service: Service) -> None:
    """Do all there is to do, then return."""
    while step(service, "drain", NEVER):
        pass


def await_tables(service: Service, stopping: threading.Event) -> bool:
    """Wait until the store is there and at the migration that this version needs; False where it is to stop meanwhile."""
    pause, said = _IDLE_SECONDS[0], ""
    while not stopping.is_set():
        try:
            found = migrations.current(service.store)
            if found == migrations.head():
                return True
            problem = f"the store is at migration {found or 'none'}, this version needs {migrations.head()}"
        except work.STORE_AWAY as error:
            problem = f"the store cannot be reached ({type(error).__name__})"
        if problem != said:
            _log.warning("worker_waits", reason=problem)
            said = problem
        stopping.wait(pause)
        pause = min(2 * pause, _IDLE_SECONDS[1])
    return False


def clean(service: Service) -> None:
    """Take away uploads that crashes left behind a day ago."""
    unfinished = select(Job.parameters).where(Job.kind == "ingest", Job.state.in_(("queued", "running")))
    with service.store.read() as session:
        needed = [msgspec.json.decode(found, type=ingest.Parameters).upload for found in session.scalars(unfinished)]
    for name in spool.sweep(spool.folder(service.settings), needed, service.clock() - _KEPT_SECONDS * SECOND):
        _log.info("upload_swept", name=name)


def main(settings: Settings) -> None:
    """A worker process: ends on SIGTERM, SIGINT, or when the process that started it is gone."""
    logs.configure(settings.log_level)
    stopping = threading.Event()

    def stop(_: int, __: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    threading.Thread(target=_follow, args=(stopping,), name="follow", daemon=True).start()
    service = open_service(settings)
    try:
        if await_tables(service, stopping):
            clean(service)
            run(service, stopping)
    finally:
        service.store.close()


def _follow(stopping: threading.Event) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        stopping.set()


def supervise(settings: Settings, count: int, stopping: threading.Event) -> None:
    """Keep `count` worker processes alive until `stopping` is set; then let them finish their blocks and end.

    One that dies is replaced, after a pause that grows where they die young.
    """
    context = multiprocessing.get_context("spawn")

    def start() -> tuple[BaseProcess, float]:
        process = context.Process(target=main, args=(settings,), name="screening worker")
        process.start()
        return process, time.monotonic()

    alive = [start() for _ in range(count)]
    pause = _AWAY_SECONDS[0]
    while not stopping.wait(_ALIVE_SECONDS):
        for i, (process, started) in enumerate(alive):
            if process.is_alive():
                continue
            _log.error("worker_died", exit=process.exitcode)
            pause = _AWAY_SECONDS[0] if time.monotonic() - started > _STEADY_SECONDS else min(2 * pause, _AWAY_SECONDS[1])
            if stopping.wait(pause):
                break
            alive[i] = start()
    for process, _ in alive:
        process.terminate()
    for process, _ in alive:
        process.join()
