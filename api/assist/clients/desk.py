"""A desk's end of the stream in Python: numbers what it sends, resumes a dropped connection, and where that is no longer possible
sends its open conversations again.
"""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

_FIRST_WAIT, _LONGEST_WAIT = 0.5, 10.0
_FINAL = ("unauthenticated", "forbidden", "cross_origin", "token_in_url", "taken_over", "invalid")

Message = dict[str, Any]


class RefusedError(Exception):
    """What the service says against a message, or against the desk itself; `told` is its `error` or `closing`."""

    def __init__(self, told: Message):
        super().__init__(told["message"])
        self.told = told


class _Entry:
    """A message that may have to be sent again, and who waits for its answer."""

    def __init__(self, message: Message, seq: int):
        self.message = message
        self.seq = seq
        self.answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()


class DeskStream:
    """A session with the service: `async with DeskStream(url, token) as desk`. `hear` is given every message once, in order."""

    def __init__(self, url: str, token: str, hear: Callable[[Message], None] = lambda _: None):
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._hear = hear
        self._session: str | None = None
        self._seq = 0
        self._received = 0
        self._entries: list[_Entry] = []
        self._socket: ClientConnection | None = None
        self._over: Message | None = None
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "DeskStream":
        self._running = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._socket is not None:
            await self._socket.close()
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running

    async def turn(self, conversation: str, role: str, text: str, **fields: Any) -> Message:
        """Tell a turn; gives its `flags`. Raises `RefusedError`."""
        return await self._send({"type": "turn", "conversation": conversation, "role": role, "text": text, **fields})

    async def draft(self, conversation: str, text: str, **fields: Any) -> Message:
        """Ask whether a message may go out; gives its `verdict`. Raises `RefusedError`."""
        return await self._send({"type": "draft", "conversation": conversation, "text": text, **fields})

    async def end(self, conversation: str, **fields: Any) -> Message:
        """End a conversation; gives its `screening`. Raises `RefusedError`."""
        return await self._send({"type": "end", "conversation": conversation, **fields})

    async def _send(self, message: Message) -> Message:
        if self._over is not None:
            raise RefusedError(self._over)
        self._seq += 1
        entry = _Entry(message, self._seq)
        self._entries.append(entry)
        if self._socket is not None:
            await self._write(self._socket, entry)
        return await entry.answer

    async def _write(self, socket: ClientConnection, entry: _Entry) -> None:
        with suppress(ConnectionClosed):  # it is sent again after the next welcome
            await socket.send(json.dumps({**entry.message, "seq": entry.seq, "received": self._received}, ensure_ascii=False))

    async def _run(self) -> None:
        wait = _FIRST_WAIT
        while self._over is None:
            with suppress(OSError, ConnectionClosed):
                async with connect(self._url, additional_headers=self._headers) as socket:
                    first = {"type": "resume", "session": self._session, "received": self._received}
                    await socket.send(json.dumps(first if self._session else {"type": "hello"}))
                    async for text in socket:
                        wait = _FIRST_WAIT
                        await self._take(socket, json.loads(text))
            self._socket = None
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    async def _take(self, socket: ClientConnection, message: Message) -> None:
        if "seq" in message:
            if message["seq"] <= self._received:
                return
            self._received = message["seq"]
        match message["type"]:
            case "welcome":
                await self._welcomed(socket, message)
            case "closing" if not message["resume"]:
                self._session = None
                if message["code"] in _FINAL:
                    self._over = message
                    for entry in self._entries:
                        entry.answer.set_exception(RefusedError(message))
            case "error":
                for entry in self._answered(message):
                    self._entries.remove(entry)
                    entry.answer.set_exception(RefusedError(message))
            case "flags" | "verdict" | "screening" as kind:
                for entry in self._answered(message):
                    if kind != "flags":  # turns may have to be sent again
                        self._entries.remove(entry)
                    if not entry.answer.done():
                        entry.answer.set_result(message)
                if kind == "screening":
                    name, of = message["conversation"], message["of"]
                    self._entries = [own for own in self._entries if own.message["conversation"] != name or own.seq > of]
        self._hear(message)

    def _answered(self, message: Message) -> list[_Entry]:
        return [entry for entry in self._entries if entry.seq == message["of"]]

    async def _welcomed(self, socket: ClientConnection, message: Message) -> None:
        if not message["resumed"]:  # all that is still open, as a new session counts it
            self._received = self._seq = 0
            for entry in self._entries:
                self._seq += 1
                entry.seq = self._seq
        self._session = message["session"]
        sent = 0
        while sent < len(self._entries):  # more may be added meanwhile
            if self._entries[sent].seq > message["received"]:
                await self._write(socket, self._entries[sent])
            sent += 1
        self._socket = socket
