"""Tells what the application sees of a TLS connection: `asgi_app` and `wsgi_app`, as JSON.

/echo gives the body back, /file sends the file named by BIG_FILE, everything else describes the connection.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

Event = dict[str, Any]


async def asgi_app(
    scope: Event, receive: Callable[[], Awaitable[Event]], send: Callable[[Event], Awaitable[None]]
) -> None:
    """As ASGI."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    if scope["path"] == "/file":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.pathsend", "path": os.environ["BIG_FILE"]})
        return
    body, more = b"", True
    while more:
        event = await receive()
        body += event["body"]
        more = event["more_body"]
    if scope["path"] != "/echo":
        tls = scope.get("extensions", {}).get("tls")
        if tls is not None:
            tls = {**tls, "client_cert_chain": list(tls.get("client_cert_chain", ()))}
        body = json.dumps({"scheme": scope["scheme"], "tls": tls, "path": scope["path"]}).encode()
    fields = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})


def wsgi_app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """As WSGI."""
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/file":
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](open(os.environ["BIG_FILE"], "rb"))  # noqa: SIM115
        return wrapped
    if environ["PATH_INFO"] == "/echo":
        return [environ["wsgi.input"].read()]
    return [
        json.dumps(
            {"scheme": environ["wsgi.url_scheme"], "https": environ.get("HTTPS"), "port": environ["SERVER_PORT"]}
        ).encode()
    ]
