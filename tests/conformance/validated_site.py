"""Applications under wsgiref.validate.validator, which checks the server's side of PEP 3333 as well as theirs."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from typing import Any
from wsgiref.validate import validator

PLAIN = [("Content-Type", "text/plain")]


@validator
def app(environ: Any, start_response: Any) -> Any:
    """/hello  /echo  /lines  /stream  /write  /file  /error  /empty  /none (204)"""
    path = environ["PATH_INFO"]
    if path == "/echo":
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        start_response("200 OK", [*PLAIN, ("Content-Length", str(len(body)))])
        return [body]
    if path == "/lines":
        first, rest = environ["wsgi.input"].readline(), environ["wsgi.input"].readlines()
        more = list(environ["wsgi.input"])
        start_response("200 OK", PLAIN)
        return [b"|".join([first, *rest, *more])]
    if path == "/stream":
        start_response("200 OK", PLAIN)
        return (b"%d " % number for number in range(50))
    if path == "/write":
        write = start_response("200 OK", PLAIN)
        write(b"written ")
        return [b"and returned"]
    if path == "/file":
        start_response("200 OK", PLAIN)
        return environ["wsgi.file_wrapper"](io.BytesIO(b"file " * 1000), 100)
    if path == "/error":
        return fails(start_response)
    if path == "/none":
        start_response("204 No Content", [])
        return []
    environ["wsgi.errors"].write("said by the application\n")
    environ["wsgi.errors"].flush()
    start_response("200 OK", [*PLAIN, ("Content-Length", "5")])
    return [b"hello"]


def fails(start_response: Any) -> Iterator[bytes]:
    """Fail before the first block, the way frameworks report it."""
    try:
        raise RuntimeError("within")
    except RuntimeError:
        start_response("500 Failed", PLAIN, sys.exc_info())
    yield b"failed"
