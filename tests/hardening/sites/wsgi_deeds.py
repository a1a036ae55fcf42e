"""WSGI: the same on threads; bodies are spooled, the file goes through wsgi.file_wrapper."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

sys.path.insert(0, os.path.dirname(__file__))

import deeds


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """The application."""
    path = environ["PATH_INFO"]
    if path == "/file":
        file = open(os.path.join(deeds.FOLDER, "large.bin"), "rb")  # noqa: SIM115 - its reader closes it
        start_response("200 OK", [("Content-Length", str(os.fstat(file.fileno()).st_size))])
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](file)
        return wrapped
    text = deeds.digest(environ["wsgi.input"].read()) if path == "/upload" else deeds.answer(path)
    start_response("200 OK", [("Content-Length", str(len(text)))])
    return [text.encode()]
