"""One socket of a session: reads as fast as the session takes, writes what the session has to tell, and closes with a reason."""

import asyncio
from contextlib import suppress
from typing import Any

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from api import access
from api.access import COOKIE, Principal
from api.assist.messages import Ack, Closing, Hello, Outgoing, Resume, Welcome, decoded, encoded
from api.assist.session import GapError, Session
from api.assist.streams import StreamError, Streams
from api.clock import SECOND
from api.errors import ApiError, as_api_error
from api.wiring import Service

HELLO_SECONDS = 10.0
BACKLOG = 1024
"""So many messages may be unsent; a desk that reads slower is let go."""
BURST_SECONDS = 10
_ACCESS_SECONDS = 60
_CLOSE_SECONDS = 2.0
_TOKENS = ("token", "access_token", "key", "api_key", "authorization")
_CODES = {401: 4401, 403: 4403, 429: 4429, 503: 4503}
_log = structlog.get_logger("stream")


class Connection:
    """A socket from its handshake to its end."""

    def __init__(self, socket: WebSocket, service: Service, streams: Streams):
        self._socket = socket
        self._service = service
        self._streams = streams
        self._sent = 0
        self._acked = 0
        self._token = ""
        self._closing: asyncio.Future[StreamError] = asyncio.get_running_loop().create_future()
        self._heard = service.clock()
        self._known = service.clock()
        self._allowance = float(service.settings.stream_messages_per_second * BURST_SECONDS)

    async def run(self) -> None:
        """Serve the socket until one side closes it."""
        await self._socket.accept()
        done = False
        session: Session | None = None
        try:
            session = await self._greeted()
            done = await self._serve(session)
        except StreamError as error:
            await self._close(error)
        except WebSocketDisconnect as error:
            done = error.code == 1000
        finally:
            if session is not None and session.connection is self:
                session.connection = None
                self._streams.leave(session, done=done)

    def give_way(self, error: StreamError) -> None:
        """Close the socket with this reason."""
        if not self._closing.done():
            self._closing.set_result(error)

    async def _greeted(self) -> Session:
        """The session that the first message begins or takes up."""
        if any(name in self._socket.query_params for name in _TOKENS):
            raise _refused(
                4400, "token_in_url", "send the token in the Authorization header or in the first message, never in the URL"
            )
        try:
            data = await asyncio.wait_for(self._received(), HELLO_SECONDS)
        except TimeoutError:
            raise _refused(4408, "no_hello", f"no `hello` came within {HELLO_SECONDS:g} s") from None
        try:
            first = decoded(data)
        except ApiError as error:
            raise _refused(4400, error.code, error.message) from None
        if not isinstance(first, Hello | Resume):
            raise _refused(4400, "no_hello", "the first message must be `hello` or `resume`")
        principal = await self._principal(first.token)
        if isinstance(first, Hello):
            session = self._streams.open(principal)
        else:
            session = self._streams.resumed(first.session, first.received, principal)
            self._sent = first.received
        if session.connection is not None:
            session.connection.give_way(_refused(4409, "taken_over", "the session goes on in another socket"))
        session.connection = self
        resumed = isinstance(first, Resume)
        self._acked = session.received
        turns = {name: running.turns for name, running in session.conversations.items()}
        versions = self._service.engine.screener.versions
        await self._send(Welcome(session.name, resumed, session.received, turns, session.limits, versions))
        return session

    async def _principal(self, given: str | None) -> Principal:
        """Who speaks: by the header, the first message, or the session's cookie from our own pages."""
        scheme, _, token = self._socket.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            self._token = token.strip()
        elif given:
            self._token = given
        else:
            self._token = self._socket.cookies.get(COOKIE, "")
            if self._token and access.from_another_site(self._socket):
                raise _refused(4403, "cross_origin", "a socket with the session's cookie must be opened by our own pages")
        if not self._token:
            raise _refused(4401, "unauthenticated", "log in, or send an API key in the Authorization header or in `hello`")
        return await self._allowed()

    async def _allowed(self) -> Principal:
        self._known = self._service.clock()
        try:
            principal = await access.authenticated(self._service, self._token)
            if "screen" not in principal.actions:
                raise access.forbidden(principal, "screen")
            _ = self._service.engine.screener
        except Exception as error:
            known = as_api_error(error)
            raise _refused(_CODES.get(known.status_code, 4500), known.code, known.message) from None
        return principal

    async def _serve(self, session: Session) -> bool:
        """Read, write and watch until one of them ends; whether the desk said goodbye."""
        reading = asyncio.create_task(self._read(session))
        writing = asyncio.create_task(self._write(session))
        try:
            ends: list[asyncio.Future[Any]] = [reading, writing, self._closing]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            reading.cancel()
            writing.cancel()
            results = await asyncio.gather(reading, writing, return_exceptions=True)
        if self._closing.done():
            raise self._closing.result()
        for result in results:
            if isinstance(result, StreamError | WebSocketDisconnect):
                raise result
            if isinstance(result, Exception):
                _log.error("stream_failed", exc_info=result)
                raise _refused(4500, "internal", "the service failed; resume", resume=True)
        return False

    async def _received(self) -> str:
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1006), message.get("reason"))
        text = message.get("text")
        if text is None:
            raise _refused(4400, "binary", "messages are JSON in text frames")
        return str(text)

    async def _read(self, session: Session) -> None:
        while True:
            data = await self._received()
            self._count()
            if self._service.clock() - self._known > _ACCESS_SECONDS * SECOND:
                await self._allowed()
            try:
                session.take(data)
            except GapError as error:
                raise _refused(4400, "gap", str(error), resume=True) from None
            await session.room.wait()

    def _count(self) -> None:
        """Take one message from the allowance; raises `StreamError` where there is none left."""
        rate, now = self._service.settings.stream_messages_per_second, self._service.clock()
        passed = max(0, now - self._heard) / SECOND
        self._heard = now
        self._allowance = min(rate * BURST_SECONDS, self._allowance + passed * rate) - 1
        if self._allowance < 0:
            message = (
                f"more than {rate} messages a second (stream_messages_per_second); resume, and send what was not acknowledged"
            )
            raise _refused(4429, "too_many_messages", message, resume=True)

    async def _write(self, session: Session) -> None:
        while True:
            session.changed.clear()
            if session.received > self._acked or session.again:
                self._acked, session.again = session.received, False
                await self._send(Ack(self._acked))
            while (message := session.outbox.next(self._sent)) is not None:
                self._sent += 1
                await self._send(message)
            if session.received == self._acked and not session.again:
                await session.changed.wait()

    def look(self, now: int) -> None:
        """Let go of a desk that says nothing."""
        idle = self._service.settings.stream_idle_seconds
        if now - self._heard > idle * SECOND:
            message = f"nothing came for {idle} s (stream_idle_seconds); resume when there is something to say"
            self.give_way(_refused(4408, "idle", message, resume=True))

    def posted(self, session: Session) -> None:
        """The session has one message more."""
        if session.outbox.last - self._sent > BACKLOG:
            message = f"{session.outbox.last - self._sent} messages wait to be read; resume, and read faster"
            self.give_way(_refused(4008, "slow_reader", message, resume=True))

    async def _send(self, message: Outgoing | bytes) -> None:
        body = message if isinstance(message, bytes) else encoded(message)
        await self._socket.send({"type": "websocket.send", "text": body.decode()})

    async def _close(self, error: StreamError) -> None:
        """Say why, then close; a desk that does not read is not waited for."""
        _log.info("stream_closed", code=error.closing.code)
        with suppress(TimeoutError, WebSocketDisconnect, RuntimeError, OSError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._send(error.closing)
                await self._socket.close(error.code, error.closing.code)


def _refused(code: int, name: str, message: str, *, resume: bool = False) -> StreamError:
    return StreamError(code, Closing(name, message, resume))
