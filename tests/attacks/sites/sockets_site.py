"""ASGI: WebSockets that echo; ``/shout`` sends without end. Requests are the other site's."""

from __future__ import annotations

from typing import Any

from tests.attacks.sites.asgi_site import app as others

_PIECE_BYTES = 65536


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "websocket":
        await others(scope, receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    try:
        while True:
            if scope["path"] == "/shout":
                await send({"type": "websocket.send", "bytes": b"x" * _PIECE_BYTES})
                continue
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            await send({**message, "type": "websocket.send"})
    except OSError:
        return
