"""Jobs: uploads of conversations and re-screenings, done by workers; their progress, their refused inputs, their end."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import AwareDatetime, BaseModel
from starlette.datastructures import UploadFile

from api import openapi
from api.access import Caller, Principal, require
from api.clock import from_datetime, to_datetime
from api.dependencies import ServiceDep
from api.errors import ApiError
from api.jobs import records, reencrypt, rescreen, spool, upload
from api.jobs.ingest import Parameters
from api.jobs.spool import Upload
from api.schemas import Input, RowId, Text
from api.store.tables_jobs import Job, JobError
from api.wiring import Service

router = APIRouter(prefix="/v1", tags=["jobs"], responses=openapi.REFUSALS)
Kind = Literal["ingest", "rescreen", "back_test", "reencrypt"]
State = Literal["queued", "running", "done", "failed", "cancelled"]
Limit = Annotated[int, Query(ge=1, le=200)]
MULTIPART = "multipart/form-data"
_EXAMPLE = msgspec.json.encode(openapi.CONVERSATION).decode() + "\n"


class JobView(BaseModel):
    """A job. `total`: its inputs, null until all are known; it is over when `done` + `refused` reach it.

    `counts` says what came of the inputs that were done; `error` why the job as a whole failed.
    """

    id: int
    kind: Kind
    state: State
    name: str | None
    created_by: str
    vendor_id: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    total: int | None
    done: int
    refused: int
    counts: dict[str, int]
    per_second: float | None
    error: str | None

    @classmethod
    def of(cls, job: Job, now: int) -> "JobView":
        """As a job is shown."""
        return cls(
            id=job.id,
            kind=job.kind,  # type: ignore[arg-type]  # the table's own check
            state=job.state,  # type: ignore[arg-type]
            name=msgspec.json.decode(job.parameters, type=Parameters).name if job.kind == "ingest" else None,
            created_by=job.created_by,
            vendor_id=job.vendor_id,
            created_at=to_datetime(job.created_at),
            started_at=None if job.started_at is None else to_datetime(job.started_at),
            finished_at=None if job.finished_at is None else to_datetime(job.finished_at),
            total=job.total,
            done=job.done,
            refused=job.refused,
            counts=msgspec.json.decode(job.counts),
            per_second=records.rate(job, now),
            error=job.error,
        )


class JobPage(BaseModel):
    """Jobs from the newest on; `next` goes into `before` for the page after this one."""

    jobs: list[JobView]
    next: int | None


class JobErrorView(BaseModel):
    """A refused input: `place` counts the inputs from 1, `row` is the row in the file where the reader names one."""

    id: int
    place: int
    row: int | None
    conversation_id: str | None
    code: str
    message: str

    @classmethod
    def of(cls, error: JobError) -> "JobErrorView":
        """As a refused input is shown."""
        return cls(
            id=error.id,
            place=error.place,
            row=error.row,
            conversation_id=error.external_id,
            code=error.code,
            message=error.message,
        )


class JobErrorPage(BaseModel):
    """Refused inputs in the order in which they were found; `next` goes into `after`."""

    errors: list[JobErrorView]
    next: int | None


class RescreenInput(Input):
    """Which stored conversations: all, or those that fit every given field. Times are half-open."""

    vendor_id: Text | None = None
    agent_id: Text | None = None
    channel: Literal["online", "phone", "email", "social"] | None = None
    level: Literal["A", "B", "C"] | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    incomplete: bool | None = None


async def _caller(principal: Caller) -> Principal:
    """Who may see jobs: who may make some."""
    if not {"ingest", "jobs"} & principal.actions:
        raise ApiError(403, "forbidden", f"{principal.actor} may not see jobs; that needs the role lead or admin, or a scope")
    return principal


Reader = Annotated[Principal, Depends(_caller)]
Ingester = Annotated[Principal, Depends(require("ingest"))]
Runner = Annotated[Principal, Depends(require("jobs"))]
MISSING: dict[int | str, dict[str, Any]] = {404: openapi.REFUSALS[422] | {"description": "There is no such job"}}
ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {"description": "The job; ask for it under the address in Location"},
    **{
        status: openapi.REFUSALS[422] | {"description": text}
        for status, text in {
            400: "The upload broke off",
            415: "Another type of content than this endpoint takes",
            507: "No room on the service's disk",
        }.items()
    },
}


@router.post(
    "/jobs/conversations",
    status_code=202,
    responses=ACCEPTED,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/x-ndjson": {"schema": {"type": "string"}, "example": _EXAMPLE}},
        }
    },
)
async def upload_conversations(
    request: Request,
    response: Response,
    service: ServiceDep,
    principal: Ingester,
    name: Annotated[Text, Query(description="What to call the upload")] = "conversations.jsonl",
) -> JobView:
    """Take conversations as JSON Lines, one a line; workers screen and store them."""
    check_type(request, upload.NDJSON)
    taken = await upload.body(request, service)
    parameters = Parameters(taken.name, upload.clean_name(name), "jsonl")
    return await run_in_threadpool(_ingest, response, service, principal, parameters, taken)


@router.post(
    "/jobs/files",
    status_code=202,
    responses=ACCEPTED,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                MULTIPART: {
                    "schema": {
                        "type": "object",
                        "required": ["file"],
                        "properties": {
                            "file": {"type": "string", "format": "binary"},
                            "format": {
                                "type": "string",
                                "enum": list(upload.KNOWN),
                                "description": "Where the file's name does not tell",
                            },
                            "columns": {"type": "string", "description": "A ready column profile's name, or one's TOML text"},
                            "roles": {"type": "string", "description": "Role words for plain chat text, as TOML text"},
                            "assemble": {"type": "boolean", "description": "Bring scattered messages of a conversation together"},
                        },
                    }
                }
            },
        }
    },
)
async def upload_file(request: Request, response: Response, service: ServiceDep, principal: Ingester) -> JobView:
    """Take a file of any format that the readers know (JSON Lines, JSON, CSV, XLSX, Parquet, plain chat text)."""
    check_type(request, (MULTIPART,))
    async with request.form(max_files=1, max_fields=len(upload.OPTIONS)) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise ApiError(422, "invalid", "the part `file` with the file is missing", "/file")
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        name = upload.clean_name(file.filename)
        parameters = await run_in_threadpool(upload.parameters, name, fields)
        taken = await run_in_threadpool(upload.file, file.file, service)
    return await run_in_threadpool(_ingest, response, service, principal, parameters, taken)


@router.post("/jobs/rescreen", status_code=202, responses={202: ACCEPTED[202]})
def rescreen_stored(body: RescreenInput, response: Response, service: ServiceDep, principal: Runner) -> JobView:
    """Screen stored conversations again under the rules in force; decisions of people stay as they are."""
    parameters = rescreen.Parameters(
        vendor_id=body.vendor_id,
        agent_id=body.agent_id,
        channel=body.channel,
        level=body.level,
        since=None if body.since is None else from_datetime(body.since),
        until=None if body.until is None else from_datetime(body.until),
        incomplete=body.incomplete,
    )
    return created(response, service, principal, "rescreen", parameters)


@router.post("/jobs/reencrypt", status_code=202, responses={202: ACCEPTED[202]})
def reencrypt_stored(
    response: Response, service: ServiceDep, principal: Annotated[Principal, Depends(require("keys"))]
) -> JobView:
    """Seal all stored texts anew with the key in force, or open them where encryption was turned off; run it after a change of keys."""
    return created(response, service, principal, "reencrypt", reencrypt.Parameters())


@router.get("/jobs")
def list_jobs(
    service: ServiceDep,
    principal: Reader,
    state: State | None = None,
    kind: Kind | None = None,
    before: RowId | None = None,
    limit: Limit = 50,
) -> JobPage:
    """Jobs from the newest on; without the action `jobs`, one's own only."""
    with service.store.read() as session:
        found = records.page(session, principal, state=state, kind=kind, before=before, limit=limit)
    now = service.clock()
    return JobPage(jobs=[JobView.of(job, now) for job in found], next=found[-1].id if len(found) == limit else None)


@router.get("/jobs/{job_id}", responses=MISSING)
def get_job(job_id: RowId, service: ServiceDep, principal: Reader) -> JobView:
    """One job with its progress."""
    with service.store.read() as session:
        return JobView.of(records.find(session, job_id, principal), service.clock())


@router.get("/jobs/{job_id}/errors", responses=MISSING)
def list_errors(
    job_id: RowId,
    service: ServiceDep,
    principal: Reader,
    after: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0,
    limit: Limit = 50,
) -> JobErrorPage:
    """The inputs that the job refused, with the reasons."""
    with service.store.read() as session:
        found = records.errors(session, records.find(session, job_id, principal), after=after, limit=limit)
    return JobErrorPage(errors=[JobErrorView.of(error) for error in found], next=found[-1].id if len(found) == limit else None)


@router.post("/jobs/{job_id}/cancel", responses=MISSING | {409: openapi.REFUSALS[422] | {"description": "It is over already"}})
def cancel_job(job_id: RowId, service: ServiceDep, principal: Reader) -> JobView:
    """End a job: what is stored stays, nothing is added any more."""
    now = service.clock()
    with service.store.write() as session:
        job = records.find(session, job_id, principal, lock=True)
        records.cancel(session, job, principal, now)
        uploaded = msgspec.json.decode(job.parameters, type=Parameters).upload if job.kind == "ingest" else None
    if uploaded is not None:
        spool.remove(spool.folder(service.settings), uploaded)
    return JobView.of(job, now)


def check_type(request: Request, allowed: tuple[str, ...]) -> None:
    """Raise 415 for another type of content."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in allowed:
        raise ApiError(415, "wrong_type", f"the content type is {given or 'missing'}; send {allowed[0]}")
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding != "identity":
        raise ApiError(415, "wrong_type", f"the content encoding {encoding} is not taken; send the body as it is")


def _ingest(response: Response, service: Service, principal: Principal, parameters: Parameters, taken: Upload) -> JobView:
    try:
        parameters = msgspec.structs.replace(parameters, upload=taken.name)
        return created(response, service, principal, "ingest", parameters)
    except BaseException:
        taken.discard()
        raise


def created(response: Response, service: Service, principal: Principal, kind: Kind, parameters: msgspec.Struct) -> JobView:
    """Keep a new job and answer with it."""
    now = service.clock()
    with service.store.write() as session:
        job = records.create(session, kind, parameters, principal, now)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return JobView.of(job, now)
