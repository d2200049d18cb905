"""How fast the bulk path screens and stores: `python -m tests.benchmarks.storing [--conversations N] [--workers N]`.

20-turn conversations from the sample archive's turns, uploaded as one job. SQLite in a temporary file and, where
SCREENING_TEST_POSTGRES is set, PostgreSQL in a fresh database. Workers beyond the first are processes of their own.
"""

import argparse
import multiprocessing
import random
import resource
import tempfile
import time
from pathlib import Path

import msgspec

from api.access import Principal
from api.jobs import records, spool, upload, worker
from api.settings import Settings
from api.store import migrations
from api.store.tables_jobs import Job
from api.wiring import Service
from screening.readers.jsonl import read
from screening.samples import ARCHIVE
from screening.types import Conversation
from tests.conftest import POSTGRES, SECRET, fresh_postgres

TURNS = 20
WHO = Principal("user:benchmark", None, "lead", frozenset({"ingest", "jobs"}), None)


def conversations(count: int) -> list[Conversation]:
    """Stretches of the archive's turns under ids of their own."""
    archive = [item for item in read(ARCHIVE, ARCHIVE.name) if isinstance(item, Conversation)]
    turns = [turn for conversation in archive for turn in conversation.turns]
    chosen = random.Random(1)
    made = []
    for i in range(count):
        at = chosen.randrange(len(turns) - TURNS)
        part = tuple(turns[at : at + TURNS])
        made.append(msgspec.structs.replace(archive[i % len(archive)], id=f"c-{i}", turns=part))
    return made


def job_over(service: Service, work: list[Conversation]) -> int:
    """The job of an upload of these conversations."""
    taken = spool.Upload(spool.folder(service.settings), service.bodies)
    for conversation in work:
        taken.write(msgspec.json.encode(conversation) + b"\n")
    taken.finish()
    parameters = msgspec.structs.replace(upload.parameters("benchmark.jsonl", {}), upload=taken.name)
    with service.store.write() as session:
        return records.create(session, "ingest", parameters, WHO, service.clock()).id


def further_worker(settings: Settings, ready: "multiprocessing.synchronize.Barrier", job_id: int) -> None:
    """A worker process that starts with the others and ends with the job."""
    service = worker.open_service(settings)
    ready.wait()
    while not over(service, job_id):
        if not worker.step(service, f"further-{id(service)}-{time.monotonic_ns()}", worker.NEVER):
            time.sleep(0.01)


def over(service: Service, job_id: int) -> bool:
    with service.store.read() as session:
        return session.get_one(Job, job_id).state == "done"


def measure(name: str, url: str, folder: Path, work: list[Conversation], workers: int) -> None:
    """One line: conversations and turns a second from the job's first block to its last, planning included."""
    settings = Settings(secret=SECRET, database=url, spool=folder / "spool", workers=0)
    service = worker.open_service(settings)
    migrations.upgrade(service.store)
    for _ in service.engine.screener.screen_many(work[:200]):
        pass
    job_id = job_over(service, work)
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(workers)
    others = [context.Process(target=further_worker, args=(settings, ready, job_id)) for _ in range(workers - 1)]
    for process in others:
        process.start()
    ready.wait()
    wall, cpu = time.perf_counter(), time.process_time()
    while not over(service, job_id):
        if not worker.step(service, "first", worker.NEVER):
            time.sleep(0.01)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    for process in others:
        process.join()
    service.store.close()
    rate = len(work) / wall
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{name}, {workers} workers: {rate:.0f} conversations/s, {rate * TURNS:.0f} turns/s, {cpu:.1f} s CPU here, {memory} MB")


def main() -> None:
    """Measure each database that is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conversations", type=int, default=3000)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    work = conversations(given.conversations)
    with tempfile.TemporaryDirectory(prefix="screening-storing-") as folder:
        measure("SQLite", f"sqlite:///{folder}/store.db", Path(folder), work, given.workers)
        if POSTGRES:
            measure("PostgreSQL", fresh_postgres("screening_benchmark"), Path(folder), work, given.workers)


if __name__ == "__main__":
    main()
