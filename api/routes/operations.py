"""For operators: is it alive, is it ready, how is it doing."""

from typing import Any

import msgspec
from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from api.dependencies import ServiceDep
from api.engine import NotReadyError
from api.store import migrations
from api.wiring import Service

router = APIRouter(tags=["operations"])


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
async def metrics() -> Response:
    """Counters and histograms in the text format of Prometheus."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
