"""An ASGI application whose WebSockets do what the test says, step by step, and report what came of it.

The query string is JSON, a list of steps, its bytes written as {"bytes": latin-1}:
    "receive"               take an event
    {"type": ...}           send it
    "report"                send all that came of the steps so far, as JSON in a text message
    "note"                  the same, to standard error, as "note: TOKEN JSON"; the path is /TOKEN
    "scope"                 the scope is one of the things that came of it
    "hold"                  wait until a request for /let_go
    "echo"                  send every message back until the disconnect, which is an event like others
    "flood"                 send pieces of 64 KiB until it fails, and note how many went ("flooding" first)
    "raise", "raise_disconnect", "return"
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

Event = dict[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

PIECE = b"x" * 65536
gates: list[asyncio.Event] = []
shared = object()


class WebSocketDisconnect(Exception):
    """What frameworks raise when an application does not look for the end."""


def plain(value: object) -> object:
    """A value as JSON can hold it."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return {"bytes": value.decode("latin-1")}
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    return {"strange": type(value).__qualname__}


def rich(value: Any) -> Any:
    """The way back."""
    if isinstance(value, dict):
        if value.keys() == {"bytes"} and isinstance(value["bytes"], str):
            return value["bytes"].encode("latin-1")
        return {key: rich(item) for key, item in value.items()}
    return [rich(item) for item in value] if isinstance(value, list) else value


def note(token: str, what: object) -> None:
    """Tell the test, through the server's log; in one piece."""
    sys.stderr.write(f"note: {token} {json.dumps(plain(what))}\n")
    sys.stderr.flush()


async def attempt(send: Send, message: Event) -> str:
    """Send one message; "ok" or the names of the exception's classes."""
    try:
        await send(message)
    except Exception as error:
        return " ".join(kind.__name__ for kind in type(error).__mro__)
    return "ok"


async def app(scope: Event, receive: Receive, send: Send) -> None:
    """Lifespan, the gate, and the scripts."""
    if scope["type"] == "lifespan":
        while True:
            event = await receive()
            scope["state"]["shared"] = shared
            await send({"type": event["type"] + ".complete"})
            if event["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "http":
        for gate in gates:
            gate.set()
        gates.clear()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"http"})
        return
    await Script(scope, receive, send).run()


class Script:
    """One WebSocket."""

    def __init__(self, scope: Event, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.token = scope["path"].strip("/")
        self.came: list[Any] = []

    async def run(self) -> None:
        """All steps."""
        for step in json.loads(unquote(self.scope["query_string"].decode())):
            if isinstance(step, dict):
                self.came.append(await attempt(self.send, rich(step)))
            elif step == "return":
                return
            else:
                await getattr(self, "do_" + step)()

    async def do_receive(self) -> None:
        self.came.append(await self.receive())

    async def do_report(self) -> None:
        await self.send({"type": "websocket.send", "text": json.dumps(plain(self.came))})

    async def do_note(self) -> None:
        note(self.token, self.came)

    async def do_scope(self) -> None:
        scope = self.scope
        self.came.append({**scope, "state": {key: value is shared for key, value in scope.get("state", {}).items()}})

    async def do_hold(self) -> None:
        gate = asyncio.Event()
        gates.append(gate)
        note(self.token, "holding")
        await gate.wait()

    async def do_echo(self) -> None:
        while (event := await self.receive())["type"] == "websocket.receive":
            await self.send({**event, "type": "websocket.send"})
        self.came.append(event)

    async def do_flood(self) -> None:
        count = 0
        note(self.token, "flooding")
        try:
            while True:
                await asyncio.wait_for(self.send({"type": "websocket.send", "bytes": PIECE}), 0.5)
                count += 1
        except TimeoutError:
            note(self.token, {"waits": count})

    async def do_raise(self) -> None:
        raise ValueError(f"a fault of {self.token}")

    async def do_raise_disconnect(self) -> None:
        raise WebSocketDisconnect
