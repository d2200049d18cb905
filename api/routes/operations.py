"""For operators: is it alive, is it ready, how is it doing."""

from typing import Any

import msgspec
from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from pydantic import BaseModel
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from api.dependencies import ServiceDep
from api.engine import NotReadyError
from api.store import migrations
from api.store.tables_jobs import Job, JobItem
from api.wiring import Service

router = APIRouter(tags=["operations"])
_UNFINISHED = ("queued", "running")
_WAITING = ("Jobs that are not over", "Blocks of such jobs that are not done")


class Health(BaseModel):
    """The process answers."""

    status: str


class Readiness(BaseModel):
    """Whether requests can be served: `problems` says what is missing, `versions` what results are made with."""

    ready: bool
    problems: list[str]
    versions: dict[str, Any] | None
    migration: str | None


@router.get("/healthz")
async def healthz() -> Health:
    """The process is alive."""
    return Health(status="ok")


@router.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness, "description": "Not ready"}})
def readyz(service: ServiceDep) -> Response:
    """200 once lexicon, models and migrations are right, 503 and the problems until then."""
    found = readiness(service)
    return JSONResponse(found.model_dump(), 200 if found.ready else 503)


def readiness(service: Service) -> Readiness:
    """What `/readyz` answers."""
    problems: list[str] = []
    versions: dict[str, Any] | None = None
    migration: str | None = None
    try:
        versions = msgspec.to_builtins(service.engine.screener.versions)
    except NotReadyError as error:
        problems.append(str(error))
    try:
        migration = migrations.current(service.store)
        if migration != migrations.head():
            found = f"the store is at migration {migration or 'none'}, this version needs {migrations.head()}"
            problems.append(f"{found}; run: screening db upgrade")
        elif versions is not None:
            if service.follower.taken is None:
                service.follower.follow()
                versions = msgspec.to_builtins(service.engine.screener.versions)
            problems += [service.follower.problem] if service.follower.problem else []
    except SQLAlchemyError as error:
        problems.append(f"the store cannot be reached ({type(error).__name__})")
    return Readiness(ready=not problems, problems=problems, versions=versions, migration=migration)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}})
def metrics(service: ServiceDep) -> Response:
    """Counters and histograms of this process, and how much waits in the store, in the text format of Prometheus."""
    return Response(generate_latest() + generate_latest(_waiting(service)), media_type=CONTENT_TYPE_LATEST)


def _waiting(service: Service) -> CollectorRegistry:
    """What the jobs have before them, the same from every process; without a store only that it is away."""
    found = CollectorRegistry()
    up = Gauge("screening_store_up", "Whether the store answers", registry=found)
    unfinished = Job.state.in_(_UNFINISHED)
    jobs = select(Job.state, func.count()).where(unfinished).group_by(Job.state)
    blocks = (
        select(JobItem.state, func.count())
        .join(Job, Job.id == JobItem.job_id)
        .where(unfinished, JobItem.state.in_(("queued", "leased")))
        .group_by(JobItem.state)
    )
    try:
        with service.store.read() as session:
            counted = [[(str(state), int(count)) for state, count in session.execute(query)] for query in (jobs, blocks)]
    except SQLAlchemyError:
        return found
    for rows, name, about in zip(counted, ("screening_jobs", "screening_job_blocks"), _WAITING, strict=True):
        gauge = Gauge(name, about, ["state"], registry=found)
        for state, count in rows:
            gauge.labels(state).set(count)
    up.set(1)
    return found
