"""A small site for HTTP/2's tools, written twice: `asgi_app` and `wsgi_app` answer the same paths as far as they can.

/hello  /describe  /digest (length and SHA-256 of the body)  /echo  /stream/BYTES (no length)  /sized/BYTES
/fields/COUNT  /slow (0.1 s); of `asgi_app` only: /trailers  /hints (103 before 200)  /cookies (two Set-Cookie)
/watch/TOKEN (streams without end, notes when the client has gone)
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

Event = dict[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Fields = list[tuple[bytes, bytes]]

PIECE = bytes(range(256)) * 256


def note(text: str) -> None:
    """Tell the test, through the server's log."""
    print(f"note: {text}\n", end="", file=sys.stderr, flush=True)


def pieces(total: int) -> Iterator[bytes]:
    """`total` bytes in pieces of 64 KiB."""
    for at in range(0, total, len(PIECE)):
        yield PIECE[: total - at]


def digest(body: bytes) -> bytes:
    """Length and hash."""
    return f"{len(body)} {hashlib.sha256(body).hexdigest()}".encode()


async def asgi_app(scope: Event, receive: Receive, send: Send) -> None:
    """As ASGI, without lifespan."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    name, *rest = scope["path"].strip("/").split("/")
    if name in ("stream", "sized"):
        total = int(rest[0])
        await start(send, [(b"content-length", str(total).encode())] if name == "sized" else [])
        for piece in pieces(total):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})
    elif name == "watch":
        await watch(rest[0], receive, send)
    elif name == "trailers":
        await start(send, [(b"trailer", b"x-sum")], trailers=True)
        await send({"type": "http.response.body", "body": b"summed"})
        await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"42"), (b"x-more", b"yes")]})
    else:
        await small(name, rest, scope, receive, send)


async def small(name: str, rest: list[str], scope: Event, receive: Receive, send: Send) -> None:
    """Answers of one piece."""
    body = await read(receive) if name in ("digest", "echo") else b""
    fields: Fields = [(b"content-type", b"text/plain")]
    if name == "hints":
        await send({"type": "http.response.early_hint", "links": [b"</style.css>; rel=preload; as=style"]})
    if name == "slow":
        await asyncio.sleep(0.1)
    if name == "cookies":
        fields += [(b"set-cookie", b"one=1"), (b"set-cookie", b"two=2; HttpOnly")]
    if name == "fields":
        fields += [(f"x-field-{number}".encode(), b"v" * 100) for number in range(int(rest[0]))]
    content = {"digest": digest(body), "echo": body, "describe": described(scope)}.get(name, name.encode())
    await start(send, [*fields, (b"content-length", str(len(content)).encode())])
    await send({"type": "http.response.body", "body": content})


async def start(send: Send, fields: Fields, **more: Any) -> None:
    """200 with fields."""
    await send({"type": "http.response.start", "status": 200, "headers": fields, **more})


async def read(receive: Receive) -> bytes:
    """The whole body."""
    body, is_more = bytearray(), True
    while is_more:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ConnectionError("the client left")
        body += event["body"]
        is_more = event["more_body"]
    return bytes(body)


async def watch(token: str, receive: Receive, send: Send) -> None:
    """Send until the client leaves."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    leaving = asyncio.ensure_future(gone())
    await start(send, [])
    try:
        while not leaving.done():
            await send({"type": "http.response.body", "body": b"tick\n", "more_body": True})
            await asyncio.sleep(0.01)
    except OSError:
        await leaving
    note(f"watch {token} saw its client leave")


def described(scope: Event) -> bytes:
    """What of the scope JSON can hold."""
    headers = [[name.decode(), value.decode()] for name, value in scope["headers"]]
    kept = {key: scope[key] for key in ("http_version", "method", "scheme", "path")}
    return json.dumps({**kept, "query": scope["query_string"].decode(), "headers": headers}).encode()


def wsgi_app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """As WSGI."""
    name, *rest = environ["PATH_INFO"].strip("/").split("/")
    if name in ("stream", "sized"):
        total = int(rest[0])
        start_response("200 OK", [("Content-Length", rest[0])] if name == "sized" else [])
        return pieces(total)
    body = environ["wsgi.input"].read() if name in ("digest", "echo") else b""
    if name == "slow":
        time.sleep(0.1)
    fields = [(f"X-Field-{number}", "v" * 100) for number in range(int(rest[0]) if name == "fields" else 0)]
    seen = {
        "http_version": environ["SERVER_PROTOCOL"].removeprefix("HTTP/").removesuffix(".0"),
        "method": environ["REQUEST_METHOD"],
        "scheme": environ["wsgi.url_scheme"],
        "path": environ["PATH_INFO"],
        "query": environ["QUERY_STRING"],
        "headers": [[key[5:].lower().replace("_", "-"), environ[key]] for key in environ if key.startswith("HTTP_")],
    }
    content = {"digest": digest(body), "echo": body, "describe": json.dumps(seen).encode()}.get(name, name.encode())
    start_response("200 OK", [*fields, ("Content-Type", "text/plain"), ("Content-Length", str(len(content)))])
    return [content]
