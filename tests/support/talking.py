"""The two ends of a conversation for tests of what lies between: a gateway of plain coroutines, and a client's frames.

Lives here: exact frames out, each frame in, a server whose application speaks to the exchange itself.
Never here: what an interface makes of it (ASGI), what a real client would not let through.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from tests.support.inprocess import Client, Serving, make_server
from tests.support.raw import Answer
from torana.exchange.duplex import Duplex
from torana.exchange.response import ClientDisconnected
from torana.exchange.roles import Answerer, Gateway
from torana.exchange.states import CLOSED, OPEN
from torana.serve.server import Server

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FINAL = 0x80

Application = Callable[["Call"], Awaitable[None]]


def handshake(*lines: bytes, path: bytes = b"/ws", host: bytes = b"t", version: bytes = b"13") -> bytes:
    """An opening handshake, with more field lines."""
    head = [
        b"GET " + path + b" HTTP/1.1", b"Host: " + host, b"Upgrade: websocket", b"Connection: Upgrade",
        b"Sec-WebSocket-Key: " + KEY, b"Sec-WebSocket-Version: " + version, *lines,
    ]  # fmt: skip
    return b"\r\n".join(head) + b"\r\n\r\n"


def frame(opcode: int, payload: bytes = b"", *, first: int = FINAL, mask: bytes = b"\x11\x22\x33\x44") -> bytes:
    """A client's frame; ``first``: the other bits of its first byte."""
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 0x10000:
        length = b"\xfe" + size.to_bytes(2, "big")
    else:
        length = b"\xff" + size.to_bytes(8, "big")
    return bytes([first | opcode]) + length + mask + masked(payload, mask)


def masked(payload: bytes, mask: bytes) -> bytes:
    """``payload`` under its mask, as one big number."""
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


def text(data: str) -> bytes:
    """A text message in one frame."""
    return frame(TEXT, data.encode())


def closing(code: int, reason: str = "") -> bytes:
    """A close frame."""
    return frame(CLOSE, code.to_bytes(2, "big") + reason.encode())


async def upgraded(client: Client, *lines: bytes, behind: bytes = b"") -> Answer:
    """Send a handshake, and whatever comes right ``behind`` it; the 101."""
    await client.send(handshake(*lines) + behind)
    answer = await client.read_head()
    assert (answer.status, answer.get("sec-websocket-accept")) == (101, ACCEPT), answer
    return answer


async def read_frame(client: Client) -> tuple[int, bytes]:
    """The next frame of the server: opcode and payload. Only whole messages are expected, unmasked."""
    first, second = await client.read_exactly(2)
    assert first & 0xF0 == FINAL and second < 0x80, (first, second)
    size = second
    if second > 125:
        size = int.from_bytes(await client.read_exactly(2 if second == 126 else 8), "big")
    return first & 0x0F, await client.read_exactly(size)


async def read_close(client: Client) -> tuple[int, str]:
    """The next frame, which is a close frame: its code (1005: none) and reason. Pings before it are passed over."""
    while (got := await read_frame(client))[0] == PING:
        pass
    opcode, payload = got
    assert opcode == CLOSE, got
    return (int.from_bytes(payload[:2], "big"), payload[2:].decode()) if payload else (1005, "")


class Call(Answerer):
    """One conversation, as the coroutine of a test sees it."""

    def __init__(self, gateway: Talk, duplex: Duplex) -> None:
        self.duplex = duplex
        self.stops = 0
        self.is_cancelled = False
        self._gateway = gateway
        self._changed = asyncio.Event()
        gateway.calls.append(self)
        gateway.active += 1
        self.task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        duplex = self.duplex
        try:
            await self._gateway.app(self)
        except ClientDisconnected:
            pass
        except asyncio.CancelledError:
            self.is_cancelled = True
        finally:
            if duplex.state == OPEN:
                duplex.close(1000, "")
            self._gateway.active -= 1
            duplex.link.ended()

    def accept(self, subprotocol: str | None = None, fields: Any = ()) -> None:
        self.duplex.accept(subprotocol, fields)

    async def receive(self) -> Any:
        """The next message, or (code, reason) of the end."""
        while True:
            message = self.duplex.take()
            if message is not None:
                return message
            if self.duplex.state == CLOSED:
                return self.duplex.code, self.duplex.reason
            self._changed.clear()
            await self._changed.wait()

    async def send(self, data: Any) -> None:
        """Send a message, and wait while there is too much on its way."""
        self.duplex.send(data)
        while self.duplex.state == OPEN and self.duplex.link.is_full():
            self._changed.clear()
            await self._changed.wait()

    # Told by the channel's side

    def body_arrived(self) -> None:
        self._changed.set()

    def drained(self) -> None:
        self._changed.set()

    def disconnected(self) -> None:
        self._changed.set()

    def stop(self) -> None:
        self.stops += 1
        if self.stops > 1:
            self.task.cancel()


class Talk(Gateway):
    """Runs ``app`` for each conversation; other requests get a short answer."""

    def __init__(self, app: Application) -> None:
        self.app = app
        self.calls: list[Call] = []
        self.active = 0
        self.requests: list[Any] = []

    def takes_conversations(self) -> bool:
        return True

    def converse(self, duplex: Any) -> None:
        duplex.answerer = Call(self, duplex)

    def answer(self, request: Any, response: Any) -> None:
        self.requests.append(request)
        response.replace(200, [(b"content-length", b"2")], b"ok")

    def running(self) -> int:
        return self.active


async def echo(call: Call) -> None:
    """Accept, and send back what comes until the end."""
    call.accept()
    while type(message := await call.receive()) is not tuple:
        await call.send(message)


@contextlib.asynccontextmanager
async def talking(app: Application = echo, **options: Any) -> AsyncIterator[tuple[Serving, Talk]]:
    """Serve ``app`` while the block runs; options as those of ``inprocess.serving``."""
    server, talk = make_talking(app, **options)
    await server.start()
    try:
        yield Serving(server), talk
    finally:
        server.request_abort()
        await server.finished()


def make_talking(app: Application = echo, **options: Any) -> tuple[Server, Talk]:
    """A server that was not started, and its gateway."""
    server = make_server(None, "asgi3", **options)
    talk = Talk(app)
    server._gateway = talk
    return server, talk
