"""ASGI: sends the messages that X-Do lists; {"raise": NAME} among them raises. Other requests get ``well``."""

from __future__ import annotations

from typing import Any

from tests.threats.sites.notes import note
from tests.threats.sites.unruly import fail, told


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        raise NotImplementedError
    steps = dict(scope["headers"]).get(b"x-do")
    if steps is None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"well"})
        return
    note("call", path=scope["path"])
    if scope["type"] == "websocket":
        await receive()
    for step in told(steps.decode()):
        if "raise" in step:
            fail(step["raise"])
        await _send(step, send)


async def _send(step: dict[str, Any], send: Any) -> None:
    if step["type"] != "http.response.zerocopysend":
        await send(step)
        return
    with open(step["file"], "rb") as file:
        await send(step | {"file": file})
