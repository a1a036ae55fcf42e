"""Quart WebSockets: its sockets are proxies of the context they are used in, and its handlers run beside a receiver."""

from __future__ import annotations

import asyncio

from quart import Quart, abort, websocket

app = Quart(__name__)


@app.websocket("/echo")
async def echo() -> None:
    while True:
        await websocket.send(await websocket.receive())


@app.websocket("/both")
async def both() -> None:
    """Sends and receives in two tasks."""
    queue: asyncio.Queue[str] = asyncio.Queue()

    async def produce() -> None:
        while True:
            await websocket.send(f"seen: {await queue.get()}")

    async def consume() -> None:
        while True:
            await queue.put(await websocket.receive())

    await asyncio.gather(produce(), consume())


@app.websocket("/no")
async def no() -> None:
    abort(403)


@app.websocket("/close")
async def close() -> None:
    await websocket.accept()
    await websocket.close(4002, "enough")
