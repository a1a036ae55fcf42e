"""FastAPI WebSockets as its documentation shows them: dependencies, parameters, a room."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI, Query, WebSocket, WebSocketDisconnect, WebSocketException, status

app = FastAPI()


class Room:
    """Everybody who is there."""

    def __init__(self) -> None:
        self.members: list[WebSocket] = []

    async def join(self, socket: WebSocket) -> None:
        await socket.accept()
        self.members.append(socket)

    async def tell(self, text: str) -> None:
        for member in list(self.members):
            await member.send_text(text)


room = Room()


async def known(token: Annotated[str | None, Query()] = None) -> str:
    """Who it is; nobody else is let in."""
    if token is None:
        raise WebSocketException(code=status.WS_1008_POLICY_VIOLATION)
    return token


@app.websocket("/items/{item}/ws")
async def items(socket: WebSocket, item: int, token: Annotated[str, Depends(known)], q: int = 0) -> None:
    """All kinds of parameters."""
    await socket.accept()
    while True:
        data = await socket.receive_text()
        await socket.send_json({"item": item, "token": token, "q": q, "data": data})


@app.websocket("/room/{name}")
async def talk(socket: WebSocket, name: str) -> None:
    """What one says all hear."""
    await room.join(socket)
    await room.tell(f"{name} joined")
    try:
        while True:
            await room.tell(f"{name}: {await socket.receive_text()}")
    except WebSocketDisconnect:
        room.members.remove(socket)
        await room.tell(f"{name} left")
