"""An ASGI WebSocket site without a framework; what happens out of a client's sight is written to standard error.

/echo  /digest (length and SHA-256 of each message)  /describe (the scope, as JSON, after each message)
/subprotocol/NAME (accepts with it)  /close/CODE/REASON (at the first message)  /watch/TOKEN (notes how it ended)
/push/COUNT/BYTES (that many messages, then 1000)  /late/TOKEN (reads only when told by /let/TOKEN over HTTP)
/deny/STATUS (denial response)  /reject (closes before it accepts)  /fail (raises once accepted)
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

Event = dict[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

LINE = "The same words again and again, as text that compresses well has them. "
gates: dict[str, asyncio.Event] = {}


def note(text: str) -> None:
    """Tell the test, through the server's log."""
    print(f"note: {text}\n", end="", file=sys.stderr, flush=True)


def text_of(size: int) -> str:
    """Compressible text of `size` characters."""
    return (LINE * (size // len(LINE) + 1))[:size]


async def app(scope: Event, receive: Receive, send: Send) -> None:
    """WebSocket, and the little HTTP that tests need beside it."""
    if scope["type"] == "http":
        await answer(scope, receive, send)
    elif scope["type"] == "websocket":
        await converse(scope, receive, send)
    else:
        raise NotImplementedError(scope["type"])


async def answer(scope: Event, receive: Receive, send: Send) -> None:
    """Open a gate (/let/TOKEN), or say hello."""
    parts = scope["path"].split("/")
    if parts[1] == "let":
        gates.setdefault(parts[2], asyncio.Event()).set()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


async def converse(scope: Event, receive: Receive, send: Send) -> None:
    """One WebSocket."""
    assert (await receive())["type"] == "websocket.connect"
    name, *rest = scope["path"].strip("/").split("/")
    if name == "reject":
        await send({"type": "websocket.close", "code": 1008})
    elif name == "deny":
        await deny(int(rest[0]), send)
    elif name == "subprotocol":
        await send({"type": "websocket.accept", "subprotocol": rest[0], "headers": [(b"x-chosen", rest[0].encode())]})
        await each_message(receive, send, lambda message: rest[0])
    else:
        await send({"type": "websocket.accept"})
        await accepted(name, rest, scope, receive, send)


async def accepted(name: str, rest: list[str], scope: Event, receive: Receive, send: Send) -> None:
    """The paths that accept without more ado."""
    if name == "echo":
        await each_message(receive, send, lambda message: message)
    elif name == "digest":
        await each_message(receive, send, digest)
    elif name == "describe":
        await each_message(receive, send, lambda message: json.dumps(described(scope)))
    elif name == "close":
        await receive()
        await send({"type": "websocket.close", "code": int(rest[0]), "reason": "/".join(rest[1:])})
    elif name == "watch":
        await watch(rest[0], receive)
    elif name == "push":
        for number in range(int(rest[0])):
            await send({"type": "websocket.send", "text": f"{number} " + text_of(int(rest[1]))})
        await send({"type": "websocket.close", "code": 1000})
    elif name == "late":
        await gates.setdefault(rest[0], asyncio.Event()).wait()
        await each_message(receive, send, lambda message: message)
    elif name == "fail":
        await receive()
        raise RuntimeError("failed as asked")


async def each_message(receive: Receive, send: Send, reply: Callable[[str | bytes], str | bytes]) -> None:
    """Answer every message until the conversation ends."""
    while (event := await receive())["type"] == "websocket.receive":
        text = event.get("text")
        said = reply(event["bytes"] if text is None else text)
        await send({"type": "websocket.send", ("text" if isinstance(said, str) else "bytes"): said})


async def watch(token: str, receive: Receive) -> None:
    """Count messages and bytes, and tell how it ended."""
    count, size = 0, 0
    while (event := await receive())["type"] == "websocket.receive":
        count += 1
        size += len(event.get("text") or event.get("bytes") or "")
        note(f"{token} message {count}")
    note(f"{token} ended {event['code']} {event.get('reason') or '-'} after {count} messages of {size}.")


async def deny(status: int, send: Send) -> None:
    """A whole answer instead of a handshake."""
    headers = [(b"content-type", b"text/plain"), (b"x-why", b"denied")]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b"not ", "more_body": True})
    await send({"type": "websocket.http.response.body", "body": b"today"})


def digest(message: str | bytes) -> str:
    """What a message was, in few characters."""
    data = message.encode() if isinstance(message, str) else message
    return f"{type(message).__name__} {len(message)} {hashlib.sha256(data).hexdigest()}"


def described(scope: Event) -> dict[str, Any]:
    """What of the scope JSON can hold."""
    kept = {key: scope[key] for key in ("type", "http_version", "scheme", "path", "subprotocols")}
    query = scope["query_string"].decode()
    names = sorted(name.decode() for name, _ in scope["headers"])
    return {**kept, "query": query, "headers": names, "extensions": sorted(scope.get("extensions") or {})}
