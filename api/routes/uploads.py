"""Uploads that a person looks at before they become jobs, and what came of jobs: refused inputs as CSV, screened conversations."""

import csv
import io
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from starlette.datastructures import UploadFile

from api import openapi
from api.access import Principal, require
from api.dependencies import ServiceDep
from api.errors import ApiError, not_found
from api.jobs import found, preview, records, spool, upload
from api.jobs.ingest import Parameters
from api.routes.jobs import ACCEPTED, MISSING, MULTIPART, Ingester, JobView, Reader, check_type, created
from api.schemas import Input, RowId, Text
from api.wiring import Service
from screening.errors import InputError
from screening.readers.records import Refused

router = APIRouter(prefix="/v1", tags=["jobs"], responses=openapi.REFUSALS)
_LEAD = "\ufeff"  # by it spreadsheets know UTF-8
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_GONE = openapi.REFUSALS[422] | {"description": "The upload is gone: taken by a job, thrown away, or a day old"}
_MISSING_UPLOAD: dict[int | str, dict[str, Any]] = {404: _GONE}
UploadName = Annotated[str, Path(description="As the upload's answer gave it", max_length=64)]


class ReadInput(Input):
    """How an upload is read; as the fields of `POST /v1/jobs/files`."""

    name: Text
    format: Text | None = None
    columns: Annotated[str, Field(max_length=100_000)] | None = None
    roles: Annotated[str, Field(max_length=100_000)] | None = None
    assemble: bool = False


class ConversationBeginning(BaseModel):
    """A conversation as it would be taken: its first turns, and how many there are."""

    id: str
    channel: str
    vendor_id: str | None
    agent_id: str | None
    started_at: str | None
    turns: list[tuple[str, str]]
    turn_count: int


class RefusedInput(BaseModel):
    """An input that would be refused."""

    row: int
    id: str | None
    message: str


class PreviewView(BaseModel):
    """The beginning of an upload. `fields` and `attributes` name the columns they come from, `rest` those kept as attributes.

    `problem` says why nothing can be read this way. Long cells and texts end in "…".
    """

    format: str
    titles: list[str]
    rows: list[list[str]]
    sheets: list[str]
    ready: str | None
    shape: Literal["messages", "conversations"] | None
    header: bool
    sheet: str | None
    roles: dict[str, list[str]]
    fields: dict[str, str]
    attributes: dict[str, str]
    rest: list[str]
    conversations: list[ConversationBeginning]
    refused: list[RefusedInput]
    problem: str | None

    @classmethod
    def of(cls, format_: str, made: preview.Preview) -> "PreviewView":
        """As the beginning of an upload is shown."""
        profile = made.profile
        conversations, refused = [], []
        for one in made.inputs:
            if isinstance(one, Refused):
                refused.append(RefusedInput(row=one.row, id=one.id, message=one.reason))
                continue
            turns, count = preview.beginning(one)
            conversations.append(
                ConversationBeginning(
                    id=one.id,
                    channel=one.channel,
                    vendor_id=one.vendor_id,
                    agent_id=one.agent_id,
                    started_at=None if one.started_at is None else one.started_at.isoformat(),
                    turns=turns,
                    turn_count=count,
                )
            )
        return cls(
            format=format_,
            titles=made.titles,
            rows=made.rows,
            sheets=made.sheets,
            ready=made.ready,
            shape=None if profile is None else profile.shape,
            header=profile is None or profile.header,
            sheet=None if profile is None else profile.sheet,
            roles={} if profile is None else {role: list(words) for role, words in profile.roles.items()},
            fields=made.fields,
            attributes=made.attributes,
            rest=made.rest,
            conversations=conversations,
            refused=refused,
            problem=made.problem,
        )


class UploadView(BaseModel):
    """An upload that waits, for a day, to be started or thrown away; who knows its name may do so."""

    upload: str
    name: str
    size: int


class FoundView(BaseModel):
    """A conversation as its latest screening says; `waiting` counts its candidates that nobody decided."""

    conversation_id: str
    vendor_id: str | None
    agent_id: str | None
    level: Literal["A", "B", "C"] | None
    incomplete: bool
    waiting: int


class FoundPage(BaseModel):
    """Conversations of a job, block by block; `next` goes into `after`."""

    conversations: list[FoundView]
    next: int | None


@router.post(
    "/jobs/uploads",
    status_code=201,
    responses={status: answer for status, answer in ACCEPTED.items() if status != 202},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                MULTIPART: {
                    "schema": {
                        "type": "object",
                        "required": ["file"],
                        "properties": {"file": {"type": "string", "format": "binary"}},
                    }
                }
            },
        }
    },
)
async def keep_upload(request: Request, service: ServiceDep, principal: Ingester) -> UploadView:
    """Take a file to look at it first; nothing is screened or stored until it is started."""
    del principal
    check_type(request, (MULTIPART,))
    async with request.form(max_files=1, max_fields=0) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise ApiError(422, "invalid", "the part `file` with the file is missing", "/file")
        name = upload.clean_name(file.filename)
        taken = await run_in_threadpool(upload.file, file.file, service)
    return UploadView(upload=taken.name, name=name, size=taken.size)


@router.post("/jobs/uploads/{upload_name}/preview", responses=_MISSING_UPLOAD)
def preview_upload(upload_name: UploadName, body: ReadInput, service: ServiceDep, principal: Ingester) -> PreviewView:
    """How the upload would be read: the mapping of its columns, its first rows and conversations."""
    del principal
    parameters = _parameters(service, upload_name, body)
    try:
        return PreviewView.of(parameters.format, preview.preview(service, parameters))
    except InputError:
        raise not_found("the upload") from None


@router.post("/jobs/uploads/{upload_name}/start", status_code=202, responses=_MISSING_UPLOAD | {202: ACCEPTED[202]})
def start_upload(
    upload_name: UploadName, body: ReadInput, response: Response, service: ServiceDep, principal: Ingester
) -> JobView:
    """Make a job of the upload."""
    parameters = _parameters(service, upload_name, body)
    place = spool.folder(service.settings)
    try:
        claimed = spool.claim(place, upload_name)
    except FileNotFoundError:
        raise not_found("the upload") from None
    try:
        return created(response, service, principal, "ingest", msgspec.structs.replace(parameters, upload=claimed))
    except BaseException:
        spool.rename(place, claimed, upload_name)
        raise


@router.delete("/jobs/uploads/{upload_name}", status_code=204)
def drop_upload(upload_name: UploadName, service: ServiceDep, principal: Ingester) -> None:
    """Throw an upload away that no job has taken."""
    del principal
    if spool.is_name(upload_name):
        spool.remove(spool.folder(service.settings), upload_name)


@router.get(
    "/jobs/{job_id}/errors.csv",
    response_class=StreamingResponse,
    responses=MISSING | {200: {"description": "The refused inputs", "content": {"text/csv": {"schema": {"type": "string"}}}}},
)
def errors_as_csv(job_id: RowId, service: ServiceDep, principal: Reader) -> StreamingResponse:
    """All inputs that the job refused, for a spreadsheet."""
    with service.store.read() as session:
        records.find(session, job_id, principal)
    headers = {"Content-Disposition": f'attachment; filename="job-{job_id}-errors.csv"'}
    return StreamingResponse(_lines(service, job_id, principal), media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/jobs/{job_id}/conversations", responses=MISSING)
def found_conversations(
    job_id: RowId,
    service: ServiceDep,
    principal: Annotated[Principal, Depends(require("read"))],
    flagged: Annotated[bool, Query(description="Only those with an incident or an incomplete screening")] = True,
    after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> FoundPage:
    """What a job of kind ingest or rescreen screened, as it stands now."""
    with service.store.read() as session:
        job = records.find(session, job_id, principal)
        if job.kind not in ("ingest", "rescreen"):
            return FoundPage(conversations=[], next=None)
        items, last = found.page(session, service.bodies, job, principal, flagged=flagged, after=after, limit=limit)
    return FoundPage(conversations=[FoundView(**one._asdict()) for one in items], next=last)


def _parameters(service: Service, name: str, body: ReadInput) -> Parameters:
    if not spool.is_name(name) or not (spool.folder(service.settings) / name).is_file():
        raise not_found("the upload")
    fields = {"format": body.format, "columns": body.columns, "roles": body.roles}
    given = {key: value for key, value in fields.items() if value is not None} | {"assemble": str(body.assemble).lower()}
    return msgspec.structs.replace(upload.parameters(upload.clean_name(body.name), given), upload=name)


def _lines(service: Service, job_id: int, principal: Principal) -> Iterator[str]:
    yield _LEAD + _line("place", "row", "conversation_id", "code", "message")
    after = 0
    while True:
        with service.store.read() as session:
            errors = records.errors(session, records.find(session, job_id, principal), after=after, limit=500)
        if not errors:
            return
        yield "".join(_line(one.place, one.row, one.external_id, one.code, one.message) for one in errors)
        after = errors[-1].id


def _line(*cells: object) -> str:
    """A line of CSV; what a spreadsheet would take for a formula is led by an apostrophe."""
    out = io.StringIO()
    csv.writer(out).writerow([f"'{one}" if isinstance(one, str) and one.startswith(_FORMULA) else one for one in cells])
    return out.getvalue()
