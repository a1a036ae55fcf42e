"""100 MiB one way: GET streams them with a length, POST takes them piece by piece and says how many bytes came."""

from __future__ import annotations

from benchmarks.apps.lifespan import Receive, Scope, Send, answer_lifespan

PIECE = bytes(range(256)) * 256
PIECES = 1600
BODY_SIZE_BYTES = len(PIECE) * PIECES
TAKEN = b"%d" % BODY_SIZE_BYTES


async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
    """By the request's method."""
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
    elif scope["method"] == "POST":
        await take(receive, send)
    else:
        headers = [(b"content-type", b"application/octet-stream"), (b"content-length", TAKEN)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for _ in range(PIECES):
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def take(receive: Receive, send: Send) -> None:
    """Count what comes and keep nothing."""
    count = 0
    is_more = True
    while is_more:
        message = await receive()
        count += len(message.get("body", b""))
        is_more = message.get("more_body", False)
    body = b"%d" % count
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
