"""Does one block under its lease: plans, performs, stores; a fault is narrowed down to the one input that causes it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import structlog
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from api.clock import SECOND
from api.jobs import leases
from api.jobs.kind import Block, Commit, Kind, Refusal, Task
from api.jobs.leases import PLANNING, Lease, LeaseLostError
from api.jobs.registry import KINDS
from api.store.tables_jobs import Job
from api.wiring import Service
from screening.errors import InputError

STORE_AWAY = (OperationalError, InterfaceError, PoolTimeoutError)
_AT_ONCE = 10
_RENEWALS = 60
_TRIES = 3
_log = structlog.get_logger("worker")
_array = msgspec.json.Decoder(list[msgspec.Raw])


def do(service: Service, lease: Lease, stopping: Callable[[], bool]) -> None:
    """Do a block; raises one of `STORE_AWAY` where the store cannot be reached."""
    kind = KINDS[lease.kind]
    task = Task(service, lease.job_id, lease.parameters, lease.vendor_id)
    try:
        with _kept(service, lease):
            if lease.attempt > service.settings.max_attempts:
                _narrow(task, kind, lease, f"{lease.attempt - 1} workers died over it")
            elif lease.n == PLANNING:
                _plan(task, kind, lease, stopping)
            else:
                _perform(task, kind, lease)
    except LeaseLostError as error:
        _log.warning("lease_lost", block=str(error))


@contextmanager
def _kept(service: Service, lease: Lease) -> Iterator[None]:
    """Renews the lease beside the work, some sixty times at most: what hangs loses it in the end."""
    length = service.settings.lease_seconds
    over = threading.Event()

    def renew() -> None:
        for _ in range(_RENEWALS):
            if over.wait(length / 3):
                return
            try:
                if not leases.renew(service.store, lease, service.clock() + length * SECOND):
                    return
            except STORE_AWAY:
                _log.warning("renewal_failed", job=lease.job_id, block=lease.n)

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _plan(task: Task, kind: Kind, lease: Lease, stopping: Callable[[], bool]) -> None:
    service = task.service
    waiting: list[Block] = []

    def flush() -> None:
        if waiting:
            with service.store.write() as session:
                leases.plan(session, lease, waiting, service.bodies, service.clock())
            waiting.clear()

    try:
        for block in kind.plan(task, lease.last):
            waiting.append(block)
            if len(waiting) == _AT_ONCE:
                flush()
                if stopping():
                    hand_back(service, lease)
                    return
        flush()
    except InputError as error:
        _fail(task, kind, lease, str(error))
    except (LeaseLostError, *STORE_AWAY):
        raise
    except Exception as error:
        _log.error("planning_failed", job=lease.job_id, error=type(error).__name__)
        _narrow(task, kind, lease, type(error).__name__)
    else:
        with service.store.write() as session:
            _end(task, kind, session, leases.planned(session, lease, service.clock()))
        _clear(task, kind)


def _perform(task: Task, kind: Kind, lease: Lease) -> None:
    fault = ""
    for _ in range(_TRIES):
        try:
            _store(task, kind, lease, kind.perform(task, _inputs(task.service, lease)))
            return
        except (LeaseLostError, *STORE_AWAY):
            raise
        except IntegrityError as error:  # another writer brought one of the inputs meanwhile: the next try finds it there
            fault = type(error).__name__
        except Exception as error:
            _log.error("block_failed", job=lease.job_id, block=lease.n, error=type(error).__name__)
            fault = type(error).__name__
            break
    _narrow(task, kind, lease, fault)


def _store(task: Task, kind: Kind, lease: Lease, commit: Commit) -> None:
    """Results and the block's end in one transaction: a crash loses nothing and doubles nothing."""
    service = task.service
    with service.store.write() as session:
        now = service.clock()
        outcome = commit(session, now)
        _end(task, kind, session, leases.complete(session, lease, outcome, now))


def _narrow(task: Task, kind: Kind, lease: Lease, fault: str) -> None:
    """A block failed as a whole: each of its inputs is tried alone, and one that was alone is refused."""
    service = task.service
    if lease.n == PLANNING:
        _fail(task, kind, lease, f"the job could not be planned: {fault}")
        return
    inputs = _inputs(service, lease)
    with service.store.write() as session:
        now = service.clock()
        if len(inputs) > 1:
            leases.part(session, lease, [bytes(one) for one in inputs], service.bodies, now)
            return
        place, external_id = kind.named(inputs[0])
        message = f"the service failed on this input ({fault}); it is not stored"
        refusal = Refusal(place, "failed", message, external_id=external_id)
        _end(task, kind, session, leases.give_up(session, lease, refusal, now))


def _fail(task: Task, kind: Kind, lease: Lease, message: str) -> None:
    with task.service.store.write() as session:
        leases.fail(session, lease, message, task.service.clock())
    _clear(task, kind)


def _end(task: Task, kind: Kind, session: Session, job: Job) -> None:
    """End the job where no block is left; its row is locked, so of two workers that finish at once the second does it."""
    if job.total is None or not leases.all_done(session, job):
        return
    now = task.service.clock()
    if kind.finish is not None:
        kind.finish(task, session, now)
    job.state, job.finished_at = "done", now


def _clear(task: Task, kind: Kind) -> None:
    if kind.clear is not None:
        kind.clear(task)


def _inputs(service: Service, lease: Lease) -> list[msgspec.Raw]:
    return [] if lease.body is None else _array.decode(service.bodies.unpack(lease.body))


def hand_back(service: Service, lease: Lease) -> None:
    """Let another worker have the block."""
    with service.store.write() as session:
        leases.hand_back(session, lease, service.clock())
