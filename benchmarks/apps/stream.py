"""1 MiB in sixteen pieces of 64 KiB and no length told, so the server frames it itself (chunked in HTTP/1.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.apps.lifespan import Receive, Scope, Send, answer_lifespan

PIECE = bytes(range(256)) * 256
PIECES = 16
BODY_SIZE_BYTES = len(PIECE) * PIECES


async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
    """Send each piece as its own message; the server may hold us back between them."""
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
        return
    headers = [(b"content-type", b"application/octet-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for _ in range(PIECES):
        await send({"type": "http.response.body", "body": PIECE, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """A generator, so no server can take the pieces' number for the length."""
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return (PIECE for _ in range(PIECES))
