"""Sends every WebSocket message back as what it was, text or bytes, until the client leaves."""

from __future__ import annotations

from benchmarks.apps.lifespan import Receive, Scope, Send, answer_lifespan


async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
    """Accept, then echo."""
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] != "websocket.receive":
            return
        text = message.get("text")
        if text is not None:
            await send({"type": "websocket.send", "text": text})
        else:
            await send({"type": "websocket.send", "bytes": message["bytes"]})
