"""The smallest whole ASGI application: answers text, and takes part in startup and shutdown.

torana run examples/hello.py
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

HEADERS = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"14")]


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Answer "Hello, world!" to every request."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": b"Hello, world!\n"})
    else:
        raise NotImplementedError(scope["type"])


async def lifespan(receive: Receive, send: Send) -> None:
    """Say that the application is ready, and later that it has ended; open and close a database here."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
