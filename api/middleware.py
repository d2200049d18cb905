"""What every request passes: its id, the limit on its body, its line in the log and its place in the metrics."""

import re
import time
import uuid

import structlog
from prometheus_client import Counter, Histogram
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import errors
from api.settings import Settings

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_UPLOADS = ("/v1/jobs",)
_log = structlog.get_logger("request")

REQUESTS = Counter("screening_requests", "Requests answered", ["method", "route", "status"])
REQUEST_SECONDS = Histogram(
    "screening_request_seconds",
    "Time from the first byte of a request to the last of its answer",
    ["route"],
    buckets=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)


class Gate:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, settings: Settings):
        self._app = app
        self._limit = settings.max_body_bytes
        self._upload_limit = settings.max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; nothing but an answer leaves here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = [(b"x-request-id", request_id.encode()), (b"x-content-type-options", b"nosniff")]
                if not any(name == b"cache-control" for name, _ in message["headers"]):  # the console's files may be kept
                    own.append((b"cache-control", b"no-store"))
                message["headers"] = [*message["headers"], *own]
            await send(message)

        try:
            limited = self._limited(scope, headers, receive)
            await self._app(scope, limited, sending)
        except Exception as error:
            answer = errors.as_api_error(error)
            if answer.status_code >= 500 and not isinstance(error, errors.ApiError):
                _log.exception("request_failed")
            if status == 0:
                await errors.answer(Request(scope), answer)(scope, receive, sending)
        finally:
            route = getattr(scope.get("route"), "path", "-")
            seconds = time.perf_counter() - started
            REQUESTS.labels(_method(scope), route, status).inc()
            REQUEST_SECONDS.labels(route).observe(seconds)
            _log.info("request", method=_method(scope), route=route, status=status, ms=round(seconds * 1000, 2))

    def _limited(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> Receive:
        """`receive` that raises 413 as soon as more came than the limit allows."""
        upload = scope["path"].startswith(_UPLOADS)
        limit = self._upload_limit if upload else self._limit
        setting = "max_upload_bytes" if upload else "max_body_bytes"
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > limit:
            raise _too_large(limit, setting)
        total = 0

        async def limited() -> Message:
            nonlocal total
            message = await receive()
            total += len(message.get("body", b""))
            if total > limit:
                raise _too_large(limit, setting)
            return message

        return limited


def _too_large(limit: int, setting: str) -> errors.ApiError:
    return errors.too_large(f"the body is larger than the limit of {limit} bytes ({setting})")


def _method(scope: Scope) -> str:
    # anything may be sent as a method; a label must not grow with it
    method: str = scope["method"]
    return method if method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS") else "other"
