"""What every site of the grid takes from outside and tells the outside, so that their answers can be one.

Routes of each site: GET /hello?name=NAME, POST /form (name, colour), POST /upload (one file called "file"),
GET /stream/TOKEN, GET /fail/TOKEN, and GET or POST /NUMBER; where it has WebSockets: /echo.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

#: What /stream sends: the second piece only after the client's go-ahead.
FIRST, SECOND = "first\n", "second\n"


def wait_for_client(token: str) -> None:
    """Wait until the client that made the pipe TOKEN opens it: it has seen what was sent so far."""
    with open(Path(os.environ["GRID_PLACE"], token), "rb") as pipe:
        pipe.read()


async def waited_for_client(token: str) -> None:
    """The same, on a thread."""
    await asyncio.to_thread(wait_for_client, token)


def pieces(token: str) -> Iterator[bytes]:
    """The body of /stream."""
    yield FIRST.encode()
    wait_for_client(token)
    yield SECOND.encode()


async def awaited_pieces(token: str) -> AsyncIterator[bytes]:
    """The same, for those that await it."""
    yield FIRST.encode()
    await waited_for_client(token)
    yield SECOND.encode()


def told(name: str, content: bytes) -> dict[str, Any]:
    """What an upload was."""
    return {"name": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def numbered(number: int) -> str:
    """The answer to /NUMBER, which ``tests.support.load`` expects."""
    return f"{number} {os.getpid()} grid"


def failure(token: str) -> RuntimeError:
    """What /fail raises."""
    return RuntimeError(f"failed {token}")
