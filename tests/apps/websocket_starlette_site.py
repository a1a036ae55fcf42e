"""Starlette WebSockets as their users write them; what happens out of a client's sight is written to standard error."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.endpoints import WebSocketEndpoint
from starlette.exceptions import WebSocketException
from starlette.responses import JSONResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect


def note(text: str) -> None:
    """Tell the test, through the server's log."""
    print(f"note: {text}\n", end="", file=sys.stderr, flush=True)


async def echo(socket: WebSocket) -> None:
    """Text, until the client leaves."""
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)
    note(f"echo {socket.query_params['token']} over")


async def kinds(socket: WebSocket) -> None:
    """One message of each kind."""
    await socket.accept(headers=[(b"x-served-by", b"torana")])
    await socket.send_bytes(await socket.receive_bytes())
    await socket.send_json(await socket.receive_json())
    await socket.send_json(await socket.receive_json(mode="binary"), mode="binary")
    await socket.close(code=4321, reason="done")


async def careless(socket: WebSocket) -> None:
    """Never looks for the end."""
    await socket.accept()
    while True:
        await socket.send_text(await socket.receive_text())


async def forgetful(socket: WebSocket) -> None:
    """Goes on sending."""
    await socket.accept()
    await socket.receive()
    while True:
        await socket.send_text("still here")
        await asyncio.sleep(0)


async def ticker(socket: WebSocket) -> None:
    """Sends of its own accord while it receives; the client's "stop" cancels that."""
    await socket.accept()

    async def tick() -> None:
        while True:
            await socket.send_text("tick")
            await anyio.sleep(0.005)

    async with anyio.create_task_group() as group:
        group.start_soon(tick)
        async for text in socket.iter_text():
            if text == "stop":
                group.cancel_scope.cancel()
            await socket.send_text(text)
    await socket.send_text("stopped")


async def impatient(socket: WebSocket) -> None:
    """Gives up waiting many times, and loses nothing by it."""
    await socket.accept()
    gave_up = 0
    texts: list[str] = []
    while len(texts) < 100:
        with anyio.move_on_after(0.001) as scope:
            texts.append(await socket.receive_text())
        gave_up += scope.cancelled_caught
    await socket.send_json({"texts": texts, "gave_up": gave_up})
    await socket.close()


async def deny(socket: WebSocket) -> None:
    """A response of its own."""
    await socket.send_denial_response(JSONResponse({"detail": "no"}, status_code=401, headers={"x-why": "because"}))


async def refuse(socket: WebSocket) -> None:
    """By an exception before the handshake is complete."""
    raise WebSocketException(code=1008, reason="not you")


async def policy(socket: WebSocket) -> None:
    """By an exception after it."""
    await socket.accept(subprotocol="chat")
    raise WebSocketException(code=1008, reason="not you")


async def fail(socket: WebSocket) -> None:
    """A fault."""
    await socket.accept()
    raise ValueError(f"a fault of {socket.query_params['token']}")


async def ended(socket: WebSocket) -> None:
    """Notes how the client left."""
    await socket.accept()
    try:
        await socket.receive_text()
    except WebSocketDisconnect as error:
        note(f"ended {socket.query_params['token']} {error.code} {error.reason}")


class Counter(WebSocketEndpoint):
    """The class form; text only."""

    encoding = "text"

    async def on_connect(self, websocket: WebSocket) -> None:
        await websocket.accept()
        self.count = 0

    async def on_receive(self, websocket: WebSocket, data: Any) -> None:
        self.count += len(data)
        await websocket.send_text(str(self.count))

    async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
        note(f"counter {websocket.query_params['token']} {close_code}")


routes = [
    WebSocketRoute(f"/{view.__name__}", view)
    for view in (echo, kinds, careless, forgetful, ticker, impatient, deny, refuse, policy, fail, ended)
]
app = Starlette(routes=[*routes, WebSocketRoute("/counter", Counter)])
