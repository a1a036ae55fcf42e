"""The smallest answer: 13 bytes of text with a length, for ASGI and WSGI. What remains is the server's own cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.apps.lifespan import Receive, Scope, Send, answer_lifespan

BODY = b"Hello, world!"
_ASGI_HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"13")]
_WSGI_HEADERS = [("Content-Type", "text/plain"), ("Content-Length", "13")]


async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer any request at once; the request body is not read."""
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": _ASGI_HEADERS})
    await send({"type": "http.response.body", "body": BODY})


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer any request at once."""
    # A new list each time: PEP 3333 lets a server change the one it is given.
    start_response("200 OK", list(_WSGI_HEADERS))
    return [BODY]
