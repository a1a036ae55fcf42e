"""An HTTP/2 client of exact frames for a server in the test's own loop (``inprocess``): raw bytes out, a ``Peer`` in.

Windows are opened only when a test says so. Never here: what an answer should be.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.support.http2 import (
    ACK,
    DATA,
    GET,
    PING,
    PREFACE,
    SETTINGS,
    Fields,
    Frame,
    Peer,
    data,
    frame,
    headers,
    settings,
)
from tests.support.inprocess import Client, Serving


class Http2Client:
    """One connection. Acknowledges SETTINGS; all else is the test's."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.peer = Peer()
        #: The server closed its side.
        self.is_over = False
        self._next = 1

    async def send(self, *pieces: bytes) -> None:
        """Send bytes as they are."""
        await self.client.send(b"".join(pieces))

    def number(self) -> int:
        """The next stream."""
        self._next += 2
        return self._next - 2

    async def get(self, path: bytes = b"/", *more: tuple[bytes, bytes]) -> int:
        """Send a request without a body; the stream's number."""
        number = self.number()
        await self.send(headers(number, request(path, *more)))
        return number

    async def post(self, body: bytes, path: bytes = b"/") -> int:
        """Send a request with a body of one frame."""
        number = self.number()
        await self.send(headers(number, request(path, method=b"POST"), is_end=False), data(number, body, is_end=True))
        return number

    async def read(self) -> list[Frame]:
        """The next frames, at least one unless the connection is over."""
        while not self.is_over:
            if not await self.client._fill():
                self.is_over = True
                break
            found = self.peer.take(self.client._take(len(self.client._pending)))
            for item in found:
                if item.kind == SETTINGS and not item.flags & ACK:
                    await self.send(settings(flags=ACK))
            if found:
                return found
        return []

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Read until something is so; EOFError when the connection ends first."""
        while not is_so():
            await self.read()
            if self.is_over and not is_so():
                raise EOFError(self.peer)

    async def answered(self, *streams: int) -> None:
        """Until each stream has its end: END_STREAM or a reset."""
        await self.until(lambda: all(s in self.peer.ended or s in self.peer.resets for s in streams))

    async def ended(self) -> None:
        """Until the server has closed."""
        while not self.is_over:
            await self.read()

    async def settled(self) -> None:
        """A round trip: all that was sent has been taken notice of."""
        before = self.count(PING, ACK)
        await self.send(frame(PING, 0, 0, b"roundtrp"))
        await self.until(lambda: self.count(PING, ACK) > before)

    def count(self, kind: int, flags: int = 0) -> int:
        """Frames of a kind received so far."""
        return sum(item.kind == kind and item.flags & flags == flags for item in self.peer.frames)

    def status(self, stream: int) -> int:
        """Of the final head."""
        return int(
            self.peer.heads[stream][-1 if len(self.peer.heads[stream]) == 1 else self._final(stream)][b":status"]
        )

    def body(self, stream: int) -> bytes:
        """What came so far."""
        return self.peer.bodies.get(stream, b"")

    def sizes(self, stream: int) -> list[int]:
        """Of the DATA frames of a stream."""
        return [len(item.payload) for item in self.peer.frames if item.kind == DATA and item.stream == stream]


def request(path: bytes = b"/", *more: tuple[bytes, bytes], method: bytes = b"GET") -> Fields:
    """The fields of a request."""
    fields = [(name, path if name == b":path" else value) for name, value in GET]
    return [(name, method if name == b":method" else value) for name, value in fields] + list(more)


@asynccontextmanager
async def speaking(server: Serving, *pairs: tuple[int, int], is_greeted: bool = True) -> AsyncIterator[Http2Client]:
    """A connection on which both prefaces were exchanged; ``pairs`` are the client's settings."""
    async with await server.connect() as raw:
        client = Http2Client(raw)
        if is_greeted:
            await client.send(PREFACE, settings(*pairs))
            await client.until(lambda: client.count(SETTINGS, ACK) > 0)
        yield client
