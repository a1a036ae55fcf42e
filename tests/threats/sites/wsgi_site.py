"""WSGI: the same paths as the ASGI site, where they make sense."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from tests.threats.sites.notes import SHOWN_BYTES, note

_PIECE = b"x" * 16384


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/bystander":
        return _finish(start_response, "200 OK", b"well")
    known = {name: value for name, value in environ.items() if isinstance(value, (str, bool))}
    seen = {"method": environ["REQUEST_METHOD"], "path": path, "environ": known}
    note("fence" if path == "/fence" else "call", **seen)
    if path.startswith("/unread"):
        return _finish(start_response, "403 Forbidden", b"no" * int(path.partition("/unread/")[2] or 1))
    if path.startswith("/broken"):
        raise ValueError(path)
    if path.startswith("/slow/"):
        time.sleep(float(path.rpartition("/")[2]))
    if path.startswith("/big/"):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return _stream(int(path.rpartition("/")[2]))
    body = environ["wsgi.input"].read()
    note("body", **seen, size=len(body), body=body[:SHOWN_BYTES], complete=True)
    return _finish(start_response, "200 OK", f"{environ['REQUEST_METHOD']} {path} {len(body)}".encode())


def _finish(start_response: Callable[..., Any], status: str, body: bytes) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def _stream(size: int) -> Iterable[bytes]:
    while size > 0:
        yield _PIECE[:size]
        size -= len(_PIECE)
