"""What the soak's servers serve by WSGI: the same deeds as ``site``, on threads.

Lives here: the application. Never here: state that could grow by itself.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from typing import Any

from tests.soak.content import PATTERN, PIECE_BYTES, content
from tests.soak.site import ASKED_FOR


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """WSGI (PEP 3333)."""
    _, name, *words = environ["PATH_INFO"].split("/")
    if name == "hello":
        return _answer(start_response, f"{words[0]} {os.getpid()} hello".encode())
    if name == "digest":
        return _answer(start_response, _digest(environ["wsgi.input"]))
    if name == "wait":
        time.sleep(float(words[0]))
        return _answer(start_response, b"waited")
    if name == "raise":
        raise RuntimeError(ASKED_FOR)
    if name == "stream":
        start_response("200 OK", [])
        return _pieces(int(words[0]))
    if name == "endless":
        start_response("200 OK", [])
        return iter(lambda: PATTERN[:PIECE_BYTES], b"")
    if name == "file":
        file = open(os.environ["SOAK_FILE"], "rb")  # noqa: SIM115
        start_response("200 OK", [("Content-Length", str(len(PATTERN)))])
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](file)
        return wrapped
    return _answer(start_response, b"nothing here", "404 Not Found")


def _answer(start_response: Any, body: bytes, status: str = "200 OK") -> list[bytes]:
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def _digest(body: Any) -> bytes:
    found, size = hashlib.sha256(), 0
    while piece := body.read(65536):
        found.update(piece)
        size += len(piece)
    return f"{size} {found.hexdigest()}".encode()


def _pieces(size: int) -> Iterator[bytes]:
    for start in range(0, size, PIECE_BYTES):
        yield content(min(PIECE_BYTES, size - start), start)
