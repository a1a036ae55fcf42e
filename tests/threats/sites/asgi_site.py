"""ASGI: notes each call; paths say how it answers.

``/unread/COUNT`` answers 403 without reading the body (COUNT times "no"), ``/broken`` raises, ``/slow/SECONDS`` takes
its time, ``/big/BYTES`` streams that many, ``/bystander`` and ``/fence`` are not noted as calls. All others read the
body and answer ``METHOD path size``; in how many pieces it came is noted.
WebSockets are accepted and echo.
"""

from __future__ import annotations

import asyncio
from typing import Any

from tests.threats.sites.notes import SHOWN_BYTES, note

_PIECE = b"x" * 16384


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
    elif scope["type"] == "websocket":
        await _echo(scope, receive, send)
    else:
        await _answer(scope, receive, send)


async def _live(receive: Any, send: Any) -> None:
    while (await receive())["type"] != "lifespan.shutdown":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})


def _seen(scope: dict[str, Any]) -> dict[str, Any]:
    names = ("method", "path", "raw_path", "query_string", "scheme", "http_version", "client", "server", "headers")
    tls = scope.get("extensions", {}).get("tls") or {}
    return {name: scope.get(name) for name in names} | {"client_cert": tls.get("client_cert_name")}


async def _answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
    path = scope["path"]
    if path == "/bystander":
        await _finish(send, 200, b"well")
        return
    seen = _seen(scope)
    note("fence" if path == "/fence" else "call", **seen)
    if path.startswith("/unread"):
        await _finish(send, 403, b"no" * int(path.partition("/unread/")[2] or 1))
        return
    if path.startswith("/broken"):
        raise ValueError(path)
    if path.startswith("/slow/"):
        await asyncio.sleep(float(path.rpartition("/")[2]))
    if path.startswith("/big/"):
        await _stream(send, int(path.rpartition("/")[2]))
        return
    body, pieces, is_complete = bytearray(), 0, False
    while True:
        message = await receive()
        pieces += 1
        if message["type"] == "http.disconnect":
            break
        body += message["body"]
        if not message.get("more_body"):
            is_complete = True
            break
    note("body", **seen, size=len(body), body=bytes(body[:SHOWN_BYTES]), pieces=pieces, complete=is_complete)
    if is_complete:
        await _finish(send, 200, f"{scope['method']} {path} {len(body)}".encode("utf-8", "backslashreplace"))


async def _finish(send: Any, status: int, body: bytes) -> None:
    fields = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def _stream(send: Any, size: int) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    while size > 0:
        piece = _PIECE[:size]
        size -= len(piece)
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    note("socket", path=scope["path"], headers=scope["headers"], subprotocols=scope["subprotocols"])
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            note("socket-end", path=scope["path"], code=message["code"])
            return
        text, data = message.get("text"), message.get("bytes")
        note("message", path=scope["path"], size=len(text if text is not None else data))
        await send({"type": "websocket.send", "text": text, "bytes": data})
