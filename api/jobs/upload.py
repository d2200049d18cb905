"""Uploads of a request into the spool, and the check of how they are to be read before anything is promised."""

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from api.errors import ApiError
from api.jobs import ingest, spool
from api.jobs.ingest import Parameters
from api.jobs.spool import FRAME, Upload
from api.wiring import Service
from screening.errors import InputError
from screening.readers import chat_text, mapping
from screening.readers.files import FORMATS

NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")
KNOWN = tuple(sorted(set(FORMATS.values())))
OPTIONS = ("format", "columns", "roles", "assemble")
_NAME = 200


async def body(request: Request, service: Service) -> Upload:
    """The request's body in the spool, finished; raises `ApiError`, and then nothing is left of it."""
    upload = await run_in_threadpool(_open, service)
    try:
        waiting = bytearray()
        async for chunk in request.stream():
            waiting += chunk
            if len(waiting) >= FRAME:
                await run_in_threadpool(_write, upload, bytes(waiting))
                waiting.clear()
        await run_in_threadpool(_finish, upload, bytes(waiting))
    except ClientDisconnect:
        upload.discard()
        raise ApiError(400, "broken_off", "the upload broke off; nothing of it was taken") from None
    except BaseException:
        upload.discard()
        raise
    return upload


def file(source: BinaryIO, service: Service) -> Upload:
    """A file in the spool, finished; raises `ApiError`, and then nothing is left of it."""
    upload = _open(service)
    try:
        while data := source.read(FRAME):
            _write(upload, data)
        _finish(upload, b"")
    except BaseException:
        upload.discard()
        raise
    return upload


def parameters(name: str, fields: Mapping[str, str]) -> Parameters:
    """How a file of this name is to be read, by the fields of a form; raises `ApiError` that names the field.

    The upload's own name in the spool is still empty.
    """
    unknown = set(fields) - set(OPTIONS)
    if unknown:
        field = min(unknown)
        raise ApiError(422, "invalid", f"there is no field {field!r}; there are: file, {', '.join(OPTIONS)}", f"/{field[:100]}")
    suffix = Path(name).suffix.lower()
    kind = fields.get("format") or FORMATS.get(suffix)
    if kind not in KNOWN:
        message = f"unknown format {kind or suffix or '(no suffix)'}; name one of {', '.join(KNOWN)} in `format`"
        raise ApiError(422, "invalid", message, "/format")
    assemble = fields.get("assemble", "false").lower()
    if assemble not in ("true", "false"):
        raise ApiError(422, "invalid", "`assemble` is true or false", "/assemble")
    made = Parameters("", name, kind, fields.get("columns"), fields.get("roles"), assemble == "true")
    with ingest.options(made) as (columns, roles):
        if columns is not None:
            with _naming("columns", columns):
                mapping.load(columns)
        if roles is not None:
            with _naming("roles", str(roles)):
                chat_text.load_roles(roles)
    return made


def clean_name(name: str | None) -> str:
    """What an upload is called: the last part of the given name, without what cannot be printed."""
    last = (name or "").replace("\\", "/").rpartition("/")[2]
    return "".join(char for char in last if char.isprintable())[-_NAME:] or "upload"


@contextmanager
def _naming(field: str, path: str) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise ApiError(422, "invalid", str(error).replace(path, f"`{field}`"), f"/{field}") from None


def _open(service: Service) -> Upload:
    with _room():
        return Upload(spool.folder(service.settings), service.bodies)


def _write(upload: Upload, data: bytes) -> None:
    with _room():
        upload.write(data)


def _finish(upload: Upload, rest: bytes) -> None:
    with _room():
        if rest:
            upload.write(rest)
        if not upload.size:
            raise ApiError(422, "invalid", "the upload is empty")
        upload.finish()


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise ApiError(507, "no_room", "there is no room for the upload on the service's disk; try again later") from None
        raise
