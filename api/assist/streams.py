"""All sessions of a process: found again by name after a dropped connection, woken by one heap, ended when nobody comes back."""

import asyncio
import secrets
from contextlib import suppress

import structlog
from prometheus_client import Gauge

from api.access import Principal
from api.assist.messages import Closing, Limits
from api.assist.running import Running
from api.assist.session import Session
from api.assist.timers import Alarms
from api.clock import SECOND
from api.settings import Settings
from api.wiring import Service

TICK_SECONDS = 0.1
_log = structlog.get_logger("stream")

SESSIONS = Gauge("screening_stream_sessions", "Sessions of desks, connected or waiting to be resumed")
CONVERSATIONS = Gauge("screening_stream_conversations", "Open conversations of all sessions")


class StreamError(Exception):
    """Why there is no session; `code` is the close code of the socket."""

    def __init__(self, code: int, closing: Closing):
        super().__init__(closing.message)
        self.code = code
        self.closing = closing


def limits_of(settings: Settings) -> Limits:
    """What a session may hold and send."""
    return Limits(
        conversations=settings.stream_conversations,
        turns=settings.max_turns,
        text_length=settings.max_text_length,
        message_bytes=settings.stream_message_bytes,
        bytes=settings.stream_bytes,
        messages_per_second=settings.stream_messages_per_second,
        idle_seconds=settings.stream_idle_seconds,
        resume_seconds=settings.stream_resume_seconds,
    )


class Streams:
    """The sessions of one process, by name. A name tells the process that holds the session."""

    def __init__(self, service: Service):
        self._service = service
        self._limits = limits_of(service.settings)
        self._worker = secrets.token_hex(4)
        self._sessions: dict[str, Session] = {}
        self._left: dict[str, int] = {}
        """Since when sessions have no socket."""
        self._alarms: Alarms[Running] = Alarms()
        self._ticking: asyncio.Task[None] | None = None

    def open(self, principal: Principal) -> Session:
        """A new session; raises `StreamError` where the process holds as many as it may."""
        if len(self._sessions) >= self._service.settings.stream_sessions:
            message = "this process holds as many sessions as it may (stream_sessions); try again later"
            raise StreamError(4429, Closing("too_many_sessions", message, resume=False))
        name = f"{self._worker}-{secrets.token_urlsafe(18)}"
        session = self._sessions[name] = Session(self._service, principal, name, self._limits, self._alarms)
        if self._ticking is None or self._ticking.done():
            self._ticking = asyncio.create_task(self._tick())
        return session

    def resumed(self, name: str, received: int, principal: Principal) -> Session:
        """The session of this name, going on after the service's message `received`; raises `StreamError` with what to do instead."""
        again = "say `hello` and send the turns of your open conversations again"
        session = self._sessions.get(name)
        if session is None and name.partition("-")[0] != self._worker:
            raise StreamError(
                4404, Closing("other_worker", f"another process holds, or held, this session; {again}", resume=False)
            )
        if session is None or session.principal.actor != principal.actor:
            raise StreamError(4404, Closing("unknown_session", f"there is no such session, or it is over; {again}", resume=False))
        if received > session.outbox.last or received < 0:
            message = f"message {received} was never sent; the last one is {session.outbox.last}"
            raise StreamError(4400, Closing("invalid", message, resume=True))
        if received < session.outbox.gone:
            self.end(session)
            message = f"messages after {received} are not kept any more, they were too many; {again}"
            raise StreamError(4410, Closing("outbox_gone", message, resume=False))
        session.outbox.confirmed(received)
        self._left.pop(name, None)
        return session

    def leave(self, session: Session, *, done: bool) -> None:
        """The session's socket is gone; without open conversations and with a proper goodbye (`done`) the session is over."""
        if done and not session.conversations:
            self.end(session)
        elif session.name in self._sessions:
            self._left[session.name] = self._service.clock()

    def end(self, session: Session) -> None:
        """Forget the session; its conversations are the desk's to send again."""
        self._sessions.pop(session.name, None)
        self._left.pop(session.name, None)
        session.drop()

    async def close(self) -> None:
        """Forget all sessions."""
        for session in list(self._sessions.values()):
            self.end(session)
        if self._ticking is not None:
            self._ticking.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticking

    async def _tick(self) -> None:
        while self._sessions:
            await asyncio.sleep(TICK_SECONDS)
            now = self._service.clock()
            for running in self._alarms.due(now):
                if running.session in self._sessions:
                    self._sessions[running.session].woken(running)
            for session in self._sessions.values():
                if session.connection is not None:
                    session.connection.look(now)
            for name, since in list(self._left.items()):
                if now - since > self._limits.resume_seconds * SECOND:
                    _log.info("session_over", conversations=len(self._sessions[name].conversations))
                    self.end(self._sessions[name])
            SESSIONS.set(len(self._sessions))
            CONVERSATIONS.set(sum(len(session.conversations) for session in self._sessions.values()))
