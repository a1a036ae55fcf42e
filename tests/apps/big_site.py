"""Takes and gives bodies of gigabytes without holding them: `asgi_app` and `wsgi_app`.

/up checks a body · /down?N streams N bytes · /file sends the file named by BIG_FILE.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from big_pattern import PIECE_BYTES, Checker, pieces

Event = dict[str, Any]


async def asgi_app(
    scope: Event, receive: Callable[[], Awaitable[Event]], send: Callable[[Event], Awaitable[None]]
) -> None:
    """As ASGI; the file goes by http.response.pathsend."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    if scope["path"] == "/file":
        path = os.environ["BIG_FILE"]
        fields = [(b"content-length", str(os.path.getsize(path)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.pathsend", "path": path})
        return
    if scope["path"] == "/down":
        total = int(scope["query_string"])
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(total).encode())]}
        )
        for piece in pieces(total):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})
        return
    checker, more, largest = Checker(), True, 0
    while more:
        event = await receive()
        if event["type"] != "http.request":
            raise ConnectionError("the client left")
        checker.feed(event["body"])
        largest = max(largest, len(event["body"]))
        more = event["more_body"]
    content = json.dumps({"count": checker.count, "is_sound": checker.is_sound, "largest": largest}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": content})


def wsgi_app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """As WSGI; the file goes by wsgi.file_wrapper, the stream without a length."""
    if environ["PATH_INFO"] == "/file":
        file = open(os.environ["BIG_FILE"], "rb")  # noqa: SIM115 - the wrapper closes it
        start_response("200 OK", [("Content-Length", str(os.path.getsize(file.fileno())))])
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](file, PIECE_BYTES)
        return wrapped
    if environ["PATH_INFO"] == "/down":
        start_response("200 OK", [])
        return pieces(int(environ["QUERY_STRING"]))
    checker = Checker()
    while piece := environ["wsgi.input"].read(PIECE_BYTES):
        checker.feed(piece)
    start_response("200 OK", [])
    return [json.dumps({"count": checker.count, "is_sound": checker.is_sound}).encode()]
