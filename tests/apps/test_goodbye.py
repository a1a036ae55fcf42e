"""A Starlette application that closes its WebSockets itself when its server drains, by a wrapper as in the guide."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

import torana

pytest.importorskip("starlette")
client = pytest.importorskip("websockets.asyncio.client")
exceptions = pytest.importorskip("websockets.exceptions")

from starlette.applications import Starlette  # noqa: E402
from starlette.routing import WebSocketRoute  # noqa: E402
from starlette.websockets import WebSocket, WebSocketDisconnect  # noqa: E402


class Goodbye:
    """Asks for the longer life, and leaves to the framework what that knows."""

    def __init__(self, app: Any, on_drain: Callable[[], Awaitable[None]]) -> None:
        self.app = app
        self.on_drain = on_drain

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan" or "torana.lifecycle" not in scope.get("extensions", {}):
            await self.app(scope, receive, send)
            return

        async def asking(message: Any) -> None:
            if message["type"] == "lifespan.startup.complete":
                message = {**message, "torana.lifecycle": True}
            await send(message)

        async def hearing() -> Any:
            while (event := await receive())["type"] not in ("lifespan.startup", "lifespan.shutdown"):
                if event["type"] == "lifespan.drain":
                    await self.on_drain()
                    await send({"type": "lifespan.drain.complete"})
            return event

        await self.app(scope, hearing, asking)


def test_a_framework_says_goodbye_before_its_server_does() -> None:
    notes: list[str] = []
    sockets: list[WebSocket] = []

    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        sockets.append(socket)
        try:
            while True:
                await socket.send_text(await socket.receive_text())
        except WebSocketDisconnect as gone:
            notes.append(f"closed {gone.code}")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        notes.append("up")
        yield
        notes.append("down")

    async def say_goodbye() -> None:
        for socket in sockets:
            await socket.close(4001, "until tomorrow")

    async def live() -> Any:
        site = Starlette(routes=[WebSocketRoute("/", echo)], lifespan=lifespan)
        async with torana.Server(Goodbye(site, say_goodbye)) as server:
            async with client.connect(server.url.replace("http", "ws", 1), proxy=None) as socket:
                await socket.send("x")
                assert await socket.recv() == "x"
                stopping = asyncio.ensure_future(server.stop())
                with pytest.raises(exceptions.ConnectionClosed) as closed:
                    await socket.recv()
                await stopping
        return closed.value.rcvd

    frame = asyncio.run(asyncio.wait_for(live(), 30))
    assert (frame.code, frame.reason) == (4001, "until tomorrow")
    assert notes == ["up", "closed 4001", "down"]
