"""ASGI: answers, uploads, a file by pathsend, a WebSocket that says everything again."""

from __future__ import annotations

import os
import sys
from typing import Any

sys.path.insert(0, os.path.dirname(__file__))

import deeds


async def app(scope: Any, receive: Any, send: Any) -> None:
    """The application."""
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await websocket(receive, send)
        return
    body = b""
    while True:
        event = await receive()
        body += event.get("body", b"")
        if not event.get("more_body"):
            break
    start = {"type": "http.response.start", "status": 200}
    if scope["path"] == "/file":
        assert "http.response.pathsend" in scope["extensions"]
        path = os.path.join(deeds.FOLDER, "large.bin")
        size = str(os.path.getsize(path)).encode()
        await send(start | {"headers": [(b"content-length", size)]})
        await send({"type": "http.response.pathsend", "path": path})
        return
    text = deeds.digest(body) if scope["path"] == "/upload" else deeds.answer(scope["path"])
    await send(start | {"headers": [(b"content-length", str(len(text)).encode())]})
    await send({"type": "http.response.body", "body": text.encode()})


async def websocket(receive: Any, send: Any) -> None:
    """Says everything again."""
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"]})
