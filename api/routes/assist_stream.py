"""The socket of the desks: running conversations followed turn by turn. docs/assist-stream.md explains its messages."""

from fastapi import APIRouter, WebSocket

from api.assist.connection import Connection

router = APIRouter(prefix="/v1")


@router.websocket("/assist/stream")
async def stream(socket: WebSocket) -> None:
    """One socket a desk, many conversations."""
    state = socket.app.state
    await Connection(socket, state.service, state.streams).run()
