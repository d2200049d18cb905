"""What stands before the console: its content security policy, and the check that a websocket comes from its own pages.

NiceGUI answers any Origin and any visitor; here a websocket needs the Origin of this host and a session that holds.
"""

import secrets
from collections.abc import Callable
from typing import Any

from fastapi.concurrency import run_in_threadpool
from nicegui import Client, core
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import access
from api.console.visitor import SERVICE
from api.errors import ApiError
from api.wiring import Service

_SOCKET = "/_nicegui_ws/"
# NiceGUI compiles its components in the browser, which is what unsafe-eval permits; a script in a text still does not run,
# because inline scripts and handlers need the nonce.
_POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; worker-src 'self' blob:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)


class Guard:
    """ASGI middleware around the mounted console; hands the service on in the scope."""

    def __init__(self, app: ASGIApp, service: Service):
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request or a websocket, or refuse it."""
        scope[SERVICE] = self._service
        if scope["type"] == "websocket":
            if not _own(scope) or not await self._logged_in(scope):
                await send({"type": "websocket.close", "code": 1008})
                return
            await self._app(scope, receive, send)
        elif _SOCKET in scope["path"]:  # polling would go round the check above
            await send({"type": "http.response.start", "status": 403, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._page(scope, receive, send)

    async def _logged_in(self, scope: Scope) -> bool:
        connection = HTTPConnection(scope)
        token = connection.cookies.get(access.COOKIE)
        client_id = connection.query_params.get("client_id", "")
        if token is None or not _shares_session(client_id, token):
            return False
        try:
            await run_in_threadpool(access.by_session, self._service, access.digest(token), self._service.clock())
        except ApiError:
            return False
        return True

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        nonce = secrets.token_urlsafe(16)
        started: Message | None = None
        body = b""

        async def sending(message: Message) -> None:
            nonlocal started, body
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                headers["content-security-policy"] = _POLICY.format(nonce=nonce)
                headers["referrer-policy"] = "same-origin"
                message["headers"] = headers.raw
                if headers.get("content-type", "").startswith("text/html"):
                    started = message
                    return
            elif started is not None:
                body += message.get("body", b"")
                if message.get("more_body"):
                    return
                # texts cannot hold "<script" here: NiceGUI escapes the elements' JSON, templates escape all else
                message = {"type": "http.response.body", "body": body.replace(b"<script", f'<script nonce="{nonce}"'.encode())}
                headers = MutableHeaders(raw=started["headers"])
                headers["content-length"] = str(len(message["body"]))
                started["headers"] = headers.raw
                await send(started)
            await send(message)

        await self._app(scope, receive, sending)


def bind_sockets() -> None:
    """Let a websocket act for the page alone that it joined, and join pages of its own session alone.

    NiceGUI takes any page's id from any websocket.
    """
    handlers = core.sio.handlers["/"]
    for name in ("event", "javascript_response", "ack", "log"):
        core.sio.on(name, _for_joined(handlers[name]))
    join = handlers["handshake"]

    async def handshake(sid: str, message: Any) -> bool:
        cookies = HTTPConnection(core.sio.get_environ(sid)["asgi.scope"]).cookies
        shared = isinstance(message, dict) and _shares_session(message.get("client_id", ""), cookies.get(access.COOKIE))
        return shared and await join(sid, message)

    core.sio.on("handshake", handshake)


def _for_joined(handler: Callable[[str, Any], None]) -> Callable[[str, Any], None]:
    def handled(sid: str, message: Any) -> None:
        if isinstance(message, dict) and message.get("client_id") in core.sio.rooms(sid):
            handler(sid, message)

    return handled


def _shares_session(client_id: str, token: str | None) -> bool:
    """Whether a page was loaded with this session; a page that is gone is nobody's, and NiceGUI refuses it."""
    client = Client.instances.get(client_id)
    return client is None or client.request.cookies.get(access.COOKIE) == token


def _own(scope: Scope) -> bool:
    """Whether a browser's websocket comes from a page of this host; one without an Origin is no browser's."""
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] == headers.get("host")
