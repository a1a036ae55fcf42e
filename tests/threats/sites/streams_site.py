"""ASGI: the other site, with answers that wait, for connections of several streams, and sockets that do not read.

``/hold`` waits for a ``/release`` before anything of its request is looked at. WebSockets at ``/silent`` are accepted,
and read after a ``/release``; ``/shout`` sends without end, and notes how much it was.
"""

from __future__ import annotations

import asyncio
from typing import Any

from tests.threats.sites.asgi_site import app as others
from tests.threats.sites.notes import note

_PIECE = b"x" * 65536


class _Gate:
    """Holds whoever waits, until it is opened for a moment."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.waiting = 0

    async def wait(self) -> None:
        self.waiting += 1
        try:
            await self._event.wait()
        finally:
            self.waiting -= 1

    def open(self) -> None:
        self._event.set()
        self._event = asyncio.Event()


_gate = _Gate()


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    path = scope.get("path", "")
    if scope["type"] == "http" and path.startswith("/hold"):
        note("held", path=path)
        await _gate.wait()
    elif path == "/release":
        waiting = _gate.waiting
        _gate.open()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"%d" % waiting})
        return
    elif path == "/silent" or path == "/shout":
        await _converse(path, receive, send)
        return
    await others(scope, receive, send)


async def _converse(path: str, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    if path == "/shout":
        await _shout(send)
    await _gate.wait()
    while (message := await receive())["type"] != "websocket.disconnect":
        pass
    note("socket-end", path=path, code=message["code"])


async def _shout(send: Any) -> None:
    sent = 0
    try:
        while True:
            await send({"type": "websocket.send", "bytes": _PIECE})
            sent += len(_PIECE)
    except OSError:
        note("shouted", size=sent)
