"""ASGI: for ``/N`` the Nth allocation of memory from now on fails, and the next one too; for ``/-1`` MemoryError."""

from __future__ import annotations

from _testcapi import remove_mem_hooks, set_nomemory
from typing import Any


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    number = int(scope["path"][1:])
    if number < 0:
        raise MemoryError
    if number:
        set_nomemory(number, number + 2)
    try:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"well"})
    finally:
        if number:
            remove_mem_hooks()
