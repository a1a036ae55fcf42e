"""A WebSocket over TLS for tests that run in no loop: websockets' asyncio client, step by step.

Not its threaded one: there a thread reads while another writes, and a TLS object that two threads use at once loses
what was written, now and then (CPython has a lock for it from 3.13 on); seen with websockets' own server as well.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Talk:
    """One conversation."""

    def __init__(self, runner: asyncio.Runner, connection: Any) -> None:
        self._runner = runner
        self._connection = connection

    def send(self, message: str | bytes) -> None:
        self._runner.run(self._connection.send(message))

    def recv(self, timeout_s: float = 20.0) -> Any:
        return self._runner.run(asyncio.wait_for(self._connection.recv(), timeout_s))

    def close(self, code: int = 1000) -> None:
        self._runner.run(self._connection.close(code))


@contextmanager
def secure_websocket(url: str, context: ssl.SSLContext) -> Iterator[Talk]:
    """Open one; it is closed at the end."""
    from websockets.asyncio.client import connect

    async def opened() -> Any:
        return await connect(url, ssl=context, proxy=None)

    with asyncio.Runner() as runner:
        talk = Talk(runner, runner.run(opened()))
        try:
            yield talk
        finally:
            talk.close()
