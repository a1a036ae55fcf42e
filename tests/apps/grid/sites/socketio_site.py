"""python-socketio for the grid: an asynchronous server in front of the Starlette site."""

from __future__ import annotations

from typing import Any

import socketio
from starlette_site import app as pages

server = socketio.AsyncServer(async_mode="asgi")


@server.event
async def echo(sid: str, content: Any) -> None:
    await server.emit("echo", content, to=sid)


@server.event
async def add(sid: str, first: int, second: int) -> int:
    return first + second


@server.event
async def leave(sid: str) -> None:
    await server.disconnect(sid)


app = socketio.ASGIApp(server, pages)
