"""WSGI: the same paths as the ASGI site, where they make sense."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

_PIECE_BYTES = 16384


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path.startswith("/big/"):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return _stream(int(path[5:]))
    if path.startswith("/whole/"):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"x" * int(path[7:])]
    if path.startswith("/file/"):
        length = str(os.path.getsize(path[5:]))
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", length)])
        found: Iterable[bytes] = environ["wsgi.file_wrapper"](open(path[5:], "rb"))  # noqa: SIM115 - the server closes
        return found
    body = b"well"
    if path != "/bystander":
        size = 0
        while piece := environ["wsgi.input"].read(65536):
            size += len(piece)
        body = b"%d" % size
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def _stream(size: int) -> Iterable[bytes]:
    while size > 0:
        yield b"x" * min(size, _PIECE_BYTES)
        size -= _PIECE_BYTES
