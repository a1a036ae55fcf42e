"""A gRPC service as an ASGI application, without generated code: messages are bytes (grpc/doc/PROTOCOL-HTTP2.md).

/test.Torana/NAME with NAME: Unary, ServerStream ("COUNT BYTES"), ClientStream, Both, Fail ("CODE TEXT"),
FailLate (two messages, then the status), Metadata, Hang (until cancelled). What happens out of a client's sight is
written to standard error.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import quote

Event = dict[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

PREFIX = struct.Struct("!?I")
DEADLINE_EXCEEDED, UNIMPLEMENTED = 4, 12


def note(text: str) -> None:
    """Tell the test, through the server's log."""
    print(f"note: {text}\n", end="", file=sys.stderr, flush=True)


class Cancelled(Exception):
    """The client has cancelled the call."""


class Call:
    """One call: messages in, messages out, one status."""

    def __init__(self, scope: Event, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._waiting = bytearray()
        self._is_more = True
        self._is_started = False
        self.metadata = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.version = scope["http_version"]

    async def messages(self) -> AsyncIterator[bytes]:
        """Every message of the client until it has no more."""
        while True:
            while (message := self._whole()) is not None:
                yield message
            if not self._is_more:
                assert not self._waiting, "a message was cut off"
                return
            event = await self._receive()
            if event["type"] == "http.disconnect":
                raise Cancelled
            self._waiting += event["body"]
            self._is_more = event["more_body"]

    def _whole(self) -> bytes | None:
        if len(self._waiting) < PREFIX.size:
            return None
        is_compressed, size = PREFIX.unpack_from(self._waiting)
        if len(self._waiting) < PREFIX.size + size:
            return None
        data = bytes(self._waiting[PREFIX.size : PREFIX.size + size])
        del self._waiting[: PREFIX.size + size]
        return gzip.decompress(data) if is_compressed else data

    async def start(self, *fields: tuple[bytes, bytes]) -> None:
        """The head; trailers follow."""
        self._is_started = True
        headers = [(b"content-type", b"application/grpc"), *fields]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": True})

    async def send(self, message: bytes) -> None:
        """One message."""
        if not self._is_started:
            await self.start()
        body = PREFIX.pack(False, len(message)) + message
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def finish(self, code: int = 0, text: str = "", *fields: tuple[bytes, bytes]) -> None:
        """The status, in the trailers; where nothing was sent, in the head alone ("Trailers-Only")."""
        status = [(b"grpc-status", str(code).encode()), (b"grpc-message", quote(text).encode()), *fields]
        if not self._is_started:
            headers = [(b"content-type", b"application/grpc"), *status]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
            await self._send({"type": "http.response.body", "body": b""})
            return
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        await self._send({"type": "http.response.trailers", "headers": status})

    async def cancelled(self) -> None:
        """Return when the client is gone."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def unary(call: Call) -> None:
    async for message in call.messages():
        await call.send(message[::-1])
    await call.finish(0, "", (b"x-count", b"1"))


async def server_stream(call: Call) -> None:
    async for message in call.messages():
        count, size = map(int, message.split())
        for number in range(count):
            await call.send(b"%d " % number + b"x" * size)
    await call.finish()


async def client_stream(call: Call) -> None:
    count, total = 0, 0
    async for message in call.messages():
        count += 1
        total += len(message)
    await call.send(b"%d %d" % (count, total))
    await call.finish()


async def both(call: Call) -> None:
    await call.start()
    async for message in call.messages():
        await call.send(b"got " + message)
    await call.finish()


async def fail(call: Call) -> None:
    async for message in call.messages():
        code, _, text = message.decode().partition(" ")
        await call.finish(int(code), text)


async def fail_late(call: Call) -> None:
    async for _ in call.messages():
        await call.send(b"one")
        await call.send(b"two")
    await call.finish(9, "too late – später", (b"x-detail", b"a"), (b"x-detail", b"b"))


async def metadata(call: Call) -> None:
    async for _ in call.messages():
        await call.start((b"x-initial", b"one"), (b"x-initial", b"two"))
        await call.send(json.dumps({"version": call.version, **call.metadata}).encode())
    await call.finish(0, "", (b"x-final", b"three"), (b"x-blob-bin", b"AAEC"))


async def hang(call: Call) -> None:
    token = (await anext(call.messages())).decode()
    await call.send(b"started")
    note(f"hang {token} began, deadline {call.metadata.get('grpc-timeout')}")
    await call.cancelled()
    note(f"hang {token} was cancelled")


METHODS: dict[str, Callable[[Call], Awaitable[None]]] = {
    "Unary": unary,
    "ServerStream": server_stream,
    "ClientStream": client_stream,
    "Both": both,
    "Fail": fail,
    "FailLate": fail_late,
    "Metadata": metadata,
    "Hang": hang,
}


async def app(scope: Event, receive: Receive, send: Send) -> None:
    """The service."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    call = Call(scope, receive, send)
    service, _, name = scope["path"].strip("/").partition("/")
    if service != "test.Torana" or name not in METHODS:
        await call.finish(UNIMPLEMENTED, f"no {scope['path']}")
        return
    try:
        await METHODS[name](call)
    except (Cancelled, OSError, asyncio.CancelledError) as error:
        note(f"{name} ended by {type(error).__name__}")
        raise
