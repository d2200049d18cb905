"""The one error envelope: {"error": {"code", "message", "field", "request_id"}}; `field` is a JSON pointer or null."""

import re
import sqlite3
from typing import Any, cast

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from api.engine import NotReadyError, OverloadedError
from api.store.bodies import BodyError
from screening.errors import InputError

_log = structlog.get_logger("errors")
_CODES = {
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    429: "too_many",
}
_ITEM = re.compile(r"^(?:item (\d+): )?(?:turn (\d+)\b)?")
_DISK = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_SHMSIZE)
_DISK_FULL = "53100"  # PostgreSQL's state
_FIELD = re.compile(r"`([a-z_]+)`")
_PATH = re.compile(r"at `\$((?:\.[a-z_]+|\[[^\]]*\])+)`")


class ErrorBody(BaseModel):
    """What went wrong: a fixed `code`, a message for people, a JSON pointer to the field, and the id of the request."""

    code: str
    message: str
    field: str | None
    request_id: str


class ErrorEnvelope(BaseModel):
    """The body of every answer that is an error."""

    error: ErrorBody


class ApiError(HTTPException):
    """An answer other than success; `status` is its HTTP status, `field` a JSON pointer into the body."""

    def __init__(self, status: int, code: str, message: str, field: str | None = None, headers: dict[str, str] | None = None):
        super().__init__(status, message, headers)
        self.code = code
        self.message = message
        self.field = field


def not_found(what: str) -> ApiError:
    """There is no such thing, or it belongs to somebody else: the answer is the same."""
    return ApiError(404, "not_found", f"there is no {what}")


def conflict(code: str, message: str, field: str | None = None) -> ApiError:
    """The state of things forbids it."""
    return ApiError(409, code, message, field)


def too_large(message: str) -> ApiError:
    """The body is larger than a limit allows."""
    return ApiError(413, "too_large", message)


def over_limit(message: str, field: str) -> ApiError:
    """A part of the body goes beyond a limit; the message names the limit and its setting."""
    return ApiError(422, "over_limit", message, field)


def pointer(message: str) -> str | None:
    """The JSON pointer to the field that an `InputError` of the readers names."""
    path = _PATH.search(message)
    if path:
        return "".join(f"/{part}" for part in re.findall(r"[a-z_]+|\d+", path[1])) or None
    item = _ITEM.match(message)
    parts = [] if item is None or item[1] is None else [item[1]]
    if item is not None and item[2] is not None:
        parts += ["turns", item[2]]
        if "surrogate" in message:
            parts.append("text")
        if "unknown role" in message:
            parts.append("role")
    field = None if "an object with" in message else _FIELD.search(message)
    if field:
        parts.append(field[1])
    return "/" + "/".join(parts) if parts else None


def envelope(code: str, message: str, field: str | None, request_id: str) -> dict[str, dict[str, str | None]]:
    """The envelope as plain data."""
    return {"error": {"code": code, "message": message, "field": field, "request_id": request_id}}


def request_id_of(request: Request) -> str:
    """The id that the middleware gave to the request."""
    return cast(str, request.scope.get("state", {}).get("request_id", ""))


def answer(request: Request, error: ApiError) -> JSONResponse:
    """The response for an error."""
    body = envelope(error.code, error.message, error.field, request_id_of(request))
    return JSONResponse(body, error.status_code, headers=error.headers)


def as_api_error(error: Exception) -> ApiError:
    """What an exception means to the caller; 500 where it is the service's own fault."""
    match error:
        case ApiError():
            return error
        case InputError():
            return ApiError(422, "invalid", str(error), pointer(str(error)))
        case OverloadedError():
            return ApiError(503, "overloaded", f"{error}; try again later", headers={"Retry-After": "1"})
        case NotReadyError():
            return ApiError(503, "not_ready", str(error), headers={"Retry-After": "2"})
        case PoolTimeoutError() | OperationalError():
            return _unavailable(error)
        case DBAPIError() if error.connection_invalidated:
            return _unavailable(error)
        case BodyError():
            _log.error("body_unreadable", reason=str(error))
            return ApiError(500, "internal", "a stored text cannot be read; the log says why")
        case _:
            return ApiError(500, "internal", "the service failed; the log holds the reason under this request id")


def _unavailable(error: Exception) -> ApiError:
    cause = getattr(error, "orig", None)
    full = no_room(error)
    # the statement and its values are left out: they may hold conversation text
    _log.error("store_unavailable", error=type(cause or error).__name__, disk_full=full)
    if full:
        return ApiError(
            507, "no_room", "the store's disk takes no more data; nothing of this request was stored; try again later"
        )
    return ApiError(503, "store_unavailable", "the store cannot be reached or is busy; try again", headers={"Retry-After": "2"})


def no_room(error: Exception) -> bool:
    """Whether a failure of the store is its disk's: full, over a quota, or not to be written."""
    cause = getattr(error, "orig", None)
    return getattr(cause, "sqlite_errorcode", None) in _DISK or getattr(cause, "sqlstate", None) == _DISK_FULL


def install(app: FastAPI) -> None:
    """Make every error of the application answer with the envelope."""

    async def known(request: Request, error: Exception) -> JSONResponse:
        return answer(request, as_api_error(error))

    for kind in (ApiError, InputError, OverloadedError, NotReadyError, PoolTimeoutError, DBAPIError, BodyError):
        app.add_exception_handler(kind, known)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        message = {404: f"there is no {request.url.path}", 405: f"{request.url.path} does not take {request.method}"}
        text = message.get(error.status_code, str(error.detail))
        headers = dict(error.headers or {})
        return answer(request, ApiError(error.status_code, _CODES.get(error.status_code, "refused"), text, headers=headers))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        problem: Any = error.errors()[0]
        place = [str(part) for part in problem["loc"]]
        where, names = (place[0], place[1:]) if place else ("body", [])
        if problem["type"] == "json_invalid":
            return answer(request, ApiError(422, "invalid", f"not JSON: {problem['ctx']['error']}", None))
        field = "/" + "/".join(names) if where == "body" and names else None
        named = f"{where} {'.'.join(names)}: " if names else ""
        return answer(request, ApiError(422, "invalid", f"{named}{problem['msg']}", field))
