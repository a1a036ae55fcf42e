"""python-socketio in its ASGI form: events with answers, a room, binary data."""

from __future__ import annotations

import sys
from typing import Any

import socketio

# A client that polls ends only when its last poll is answered, by a ping if by nothing else.
server = socketio.AsyncServer(async_mode="asgi", ping_interval=1, ping_timeout=2)
app = socketio.ASGIApp(server)


@server.event
async def connect(sid: str, environ: dict[str, Any], auth: Any = None) -> None:
    """Everybody may come who says so."""
    if auth == "stranger":
        raise socketio.exceptions.ConnectionRefusedError("not you")
    await server.enter_room(sid, "room")


@server.event
async def disconnect(sid: str, *reason: Any) -> None:
    print(f"note: {sid} left\n", end="", file=sys.stderr, flush=True)


@server.event
async def add(sid: str, numbers: list[int]) -> int:
    """An answer to an event."""
    return sum(numbers)


@server.event
async def reverse(sid: str, data: bytes) -> bytes:
    """The same with bytes."""
    return data[::-1]


@server.event
async def say(sid: str, text: str) -> None:
    """To all in the room."""
    await server.emit("said", text, room="room")


@server.event
async def transport(sid: str) -> str:
    """How this client is connected."""
    return str(server.transport(sid))
