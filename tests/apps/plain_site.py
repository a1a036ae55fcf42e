"""One small site without a framework, written twice: `asgi_app` and `wsgi_app` answer the same paths alike.

/hello  /echo (reads the body)  /ignore (does not)  /late (after 0.5 s)  /slow/NAME (after 0.1 s)  /stream (no length)
/describe (JSON: method, path, query, Host, scheme)
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

PIECES = [f"piece {number}\n".encode() for number in range(20)]
DELAYS_S = {"/late": 0.5, "/slow": 0.1}

Event = dict[str, Any]


def answer(path: str, body: bytes, described: dict[str, Any]) -> tuple[str, bytes]:
    """Content type and content for a path."""
    if path == "/describe" or path == "*":
        return "application/json", json.dumps(described).encode()
    if path == "/echo":
        return "application/octet-stream", body
    return "text/plain", path.encode()


def delay_s(path: str) -> float:
    """How long a path waits before it answers."""
    return DELAYS_S.get("/" + path.split("/")[1], 0.0) if "/" in path else 0.0


async def asgi_app(
    scope: Event, receive: Callable[[], Awaitable[Event]], send: Callable[[Event], Awaitable[None]]
) -> None:
    """The site as an ASGI application, without lifespan."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    path, body = scope["path"], b""
    while path == "/echo":
        event = await receive()
        body += event["body"]
        if not event["more_body"]:
            break
    await asyncio.sleep(delay_s(path))
    if path == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        for piece in PIECES:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})
        return
    host = next((value.decode() for name, value in scope["headers"] if name == b"host"), None)
    kind, content = answer(
        path,
        body,
        {
            "method": scope["method"],
            "path": path,
            "query": scope["query_string"].decode(),
            "host": host,
            "scheme": scope["scheme"],
            "version": scope["http_version"],
        },
    )
    fields = [(b"content-type", kind.encode()), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": content})


def wsgi_app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The site as a WSGI application."""
    path = environ["PATH_INFO"]
    body = environ["wsgi.input"].read() if path == "/echo" else b""
    time.sleep(delay_s(path))
    if path == "/stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return stream()
    kind, content = answer(
        path,
        body,
        {
            "method": environ["REQUEST_METHOD"],
            "path": path,
            "query": environ["QUERY_STRING"],
            "host": environ.get("HTTP_HOST"),
            "scheme": environ["wsgi.url_scheme"],
            "version": environ["SERVER_PROTOCOL"].removeprefix("HTTP/"),
        },
    )
    start_response("200 OK", [("Content-Type", kind), ("Content-Length", str(len(content)))])
    return [content]


def stream() -> Iterator[bytes]:
    """The pieces, as a generator."""
    yield from PIECES
