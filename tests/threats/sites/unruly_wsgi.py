"""WSGI: answers as X-Do says; see ``app``. Other requests get ``well``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.threats.sites.notes import note
from tests.threats.sites.unruly import fail, told


class _Body:
    """Blocks, of which {"raise": NAME} raises; its closing is noted, and may raise too."""

    def __init__(self, path: str, told_: dict[str, Any]) -> None:
        self._path = path
        self._told = told_

    def __iter__(self) -> Iterator[bytes]:
        for block in self._told["body"]:
            if isinstance(block, dict):
                fail(block["raise"])
            yield block

    def close(self) -> None:
        note("closed", path=self._path)
        if "close_raises" in self._told:
            fail(self._told["close_raises"])


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Keys, in the order in which they are done.

    raise, hints, status and headers (None: never started), write, start_raises, file (a path), body, close_raises.
    """
    if "HTTP_X_DO" not in environ:
        start_response("200 OK", [("Content-Length", "4")])
        return [b"well"]
    done = told(environ["HTTP_X_DO"])
    note("call", path=environ["PATH_INFO"])
    if "raise" in done:
        fail(done["raise"])
    if "hints" in done:
        environ["wsgi.early_hints"]([tuple(field) for field in done["hints"]])
    if done.get("status", "200 OK") is not None:
        fields = [tuple(field) for field in done.get("headers", ())]
        write = start_response(done.get("status", "200 OK"), fields)
        for block in done.get("write", ()):
            write(block)
    if "start_raises" in done:
        fail(done["start_raises"])
    if "file" in done:
        return environ["wsgi.file_wrapper"](open(done["file"], "rb"))
    done.setdefault("body", [])
    return _Body(environ["PATH_INFO"], done)
