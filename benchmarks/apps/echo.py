"""Reads a whole request body and sends it back with a length, for ASGI and WSGI."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.apps.lifespan import Receive, Scope, Send, answer_lifespan


async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
    """Collect the body message by message, then answer with it."""
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
        return
    parts: list[bytes] = []
    is_more = True
    while is_more:
        message = await receive()
        parts.append(message.get("body", b""))
        is_more = message.get("more_body", False)
    body = b"".join(parts)
    headers = [(b"content-type", b"application/octet-stream"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Read as much as Content-Length says, then answer with it."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(body)))])
    return [body]
