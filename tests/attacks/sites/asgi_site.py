"""ASGI: ``/bystander``, ``/big/BYTES`` streams, ``/file/PATH`` sends a file, ``/unread`` takes nothing of a body.

All other paths read the body and answer its size.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

#: A piece is made anew each time, as an application would: else thousands of clients would wait for one object.
_PIECE_BYTES = 16384


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    path = scope["path"]
    if path == "/bystander":
        await _finish(send, b"well")
    elif path.startswith("/big/"):
        await _stream(send, int(path[5:]))
    elif path.startswith("/file/"):
        await _send_file(send, path[5:])
    else:
        await _take(receive, send, path == "/unread")


async def _take(receive: Any, send: Any, is_unread: bool) -> None:
    """Read the body; or only its first piece, and then be busy with something else."""
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        if not message.get("more_body"):
            break
        if is_unread:
            await asyncio.sleep(5)
            is_unread = False
    await _finish(send, b"%d" % size)


async def _finish(send: Any, body: bytes) -> None:
    fields = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def _stream(send: Any, size: int) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    while size > 0:
        await send({"type": "http.response.body", "body": b"x" * min(size, _PIECE_BYTES), "more_body": True})
        size -= _PIECE_BYTES
    await send({"type": "http.response.body", "body": b""})


async def _send_file(send: Any, path: str) -> None:
    fields = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % os.path.getsize(path))]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.pathsend", "path": path})
