"""Answers with the process id of the worker, after as much work as the path says: `/20000` is 20,000 rounds of `spin`.

The work is counted in rounds, not in time on the clock: a worker that has to wait for its core must not seem to work.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.apps.lifespan import Receive, Scope, Send, answer_lifespan


def spin(rounds: int) -> int:
    """Plain Python that holds the GIL and touches no memory to speak of."""
    value = 1
    for _ in range(rounds):
        value = (value * 1103515245 + 12345) & 0x7FFFFFFF
    return value


def _answer(path: str) -> bytes:
    spin(int(path[1:] or 0))
    return b"%d" % os.getpid()


async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer any request; the request body is not read."""
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
        return
    body = _answer(scope["path"])
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer any request."""
    body = _answer(environ["PATH_INFO"])
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
