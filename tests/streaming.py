"""A desk for the tests of the stream: numbers its messages, and reads what it is told."""

import json
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketTestSession

from screening.types import Conversation

PATH = "/v1/assist/stream"


class Desk:
    """One side of an open socket."""

    def __init__(self, socket: WebSocketTestSession):
        self.socket = socket
        self.seq = 0
        self.heard: list[dict[str, Any]] = []

    def say(self, type_: str, **fields: Any) -> int:
        self.seq += 1
        self.raw({"type": type_, "seq": self.seq, **fields})
        return self.seq

    def raw(self, message: Any) -> None:
        self.socket.send_text(message if isinstance(message, str) else json.dumps(message))

    def hear(self, type_: str, **fields: Any) -> dict[str, Any]:
        """The next message of this type with these fields; what comes before stays in `heard`."""
        while True:
            raw = self.socket.receive_text()
            message = {**json.loads(raw), "raw": raw}
            self.heard.append(message)
            if message["type"] == type_ and all(message[name] == value for name, value in fields.items()):
                return message
            assert message["type"] != "closing", message

    def turn(self, conversation: str, role: str, text: str, **fields: Any) -> dict[str, Any]:
        """Say a turn and hear its flags."""
        return self.hear("flags", of=self.say("turn", conversation=conversation, role=role, text=text, **fields))

    def end(self, conversation: str, **fields: Any) -> dict[str, Any]:
        """End a conversation and hear its screening."""
        return self.hear("screening", of=self.say("end", conversation=conversation, **fields))

    def told(self, type_: str) -> list[dict[str, Any]]:
        return [message for message in self.heard if message["type"] == type_]


@contextmanager
def socket(client: TestClient, path: str, headers: dict[str, str]) -> Iterator[WebSocketTestSession]:
    """A socket to the application. On leaving, the client cancels the application, which may be closing already; on a busy machine
    it then takes that cancellation for a fault of the test.
    """
    opened = client.websocket_connect(path, headers=headers)
    entered = opened.__enter__()
    try:
        yield entered
    finally:
        with suppress(CancelledError):
            opened.__exit__(None, None, None)


@contextmanager
def desk(client: TestClient, headers: dict[str, str], first: dict[str, Any] | None = None) -> Iterator[Desk]:
    with socket(client, PATH, headers) as entered:
        opened = Desk(entered)
        opened.raw(first or {"type": "hello"})
        opened.hear("welcome")
        yield opened


def about(conversation: Conversation) -> dict[str, Any]:
    names = ("channel", "vendor_id", "agent_id", "customer_id", "started_at", "attributes")
    return {name: msgspec.to_builtins(getattr(conversation, name)) for name in names}


def told_turns(conversation: Conversation) -> Iterator[dict[str, Any]]:
    """The fields of a `turn` message for each turn."""
    for i, turn in enumerate(conversation.turns):
        fields = {"conversation": conversation.id, **msgspec.to_builtins(turn)}
        yield fields | ({"about": about(conversation)} if i == 0 else {})


def ended(conversation: Conversation) -> dict[str, Any]:
    return {"ended_at": msgspec.to_builtins(conversation.ended_at), "ended_by": conversation.ended_by}
