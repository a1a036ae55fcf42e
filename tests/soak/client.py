"""One connection of an HTTP/1.1 client: requests as bytes, answers in pieces, and every way to leave.

Lives here: asyncio streams, plain or TLS, and where an answer begins and ends. Never here: which answer is right.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.soak.ledger import Unexplained

PIECE_BYTES = 65536
#: As much as fits before a reader that does not read stops the server.
SMALL_BUFFER_BYTES = 4096


@dataclass(frozen=True)
class Place:
    """Where a server listens."""

    name: str
    host: str
    port: int
    tls: ssl.SSLContext | None = None
    #: The same, for those who speak HTTP/2.
    tls_http2: ssl.SSLContext | None = None
    #: Workers retire here, so that a connection without a request under way may be closed at any time.
    is_renewed: bool = False


class Over(Exception):
    """The server has closed; ``has_begun`` tells whether a part of the answer came."""

    def __init__(self, phase: str, has_begun: bool, error: object = "") -> None:
        super().__init__(f"closed while {phase}{': ' if error else ''}{error}")
        self.has_begun = has_begun


@dataclass
class Answer:
    """A final response."""

    status: int
    fields: dict[bytes, bytes]
    body: bytes = b""

    @property
    def is_last(self) -> bool:
        """The server closes behind it."""
        return self.fields.get(b"connection", b"").lower() == b"close"

    def expect(self, status: int, body: bytes | None = None) -> Answer:
        """Itself, if it is what was asked for."""
        if self.status != status or (body is not None and self.body != body):
            raise Unexplained(f"{self.status} {self.body[:120]!r} where {status} {(body or b'')[:120]!r} was due")
        return self


class Connection:
    """Made by ``open``; to be closed by whoever made it (``async with``)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.answered = 0
        self.idle_since_s = time.monotonic()

    @classmethod
    async def open(
        cls, place: Place, context: ssl.SSLContext | None = None, *, is_small: bool = False, is_plain: bool = False
    ) -> Connection:
        """Connect; a TLS handshake too where the server wants one. ``is_small``: take little before it is read."""
        sock = socket.socket()
        try:
            sock.setblocking(False)
            if is_small:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER_BYTES)
            await asyncio.get_running_loop().sock_connect(sock, (place.host, place.port))
            tls = None if is_plain else context or place.tls
            limit = SMALL_BUFFER_BYTES if is_small else PIECE_BYTES
            name = "localhost" if tls is not None else None
            return cls(*await asyncio.open_connection(sock=sock, ssl=tls, server_hostname=name, limit=limit))
        except BaseException:
            sock.close()
            raise

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # Who leaves with an error does not wait for a goodbye (TLS may do so for half a minute).
        self.close() if kind is None else self.drop()

    # leaving

    def close(self) -> None:
        """With FIN, if all was read; with close_notify where there is TLS."""
        with contextlib.suppress(OSError, RuntimeError):
            self.writer.close()

    def drop(self) -> None:
        """At once, without a word of TLS."""
        self.writer.transport.abort()

    def reset(self) -> None:
        """With RST."""
        sock = self.writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    # out

    async def send(self, data: bytes) -> None:
        """Over: the server has closed already."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except OSError as error:
            raise Over("sending", False, error) from None

    # in

    def is_ended(self) -> bool:
        """Whether the server's FIN has come already, with nothing before it."""
        return self.reader.at_eof() or self.writer.is_closing()

    async def read_some(self) -> bytes:
        """What comes next; b"" at the end, however it ends."""
        try:
            return await self.reader.read(PIECE_BYTES)
        except OSError:
            return b""

    async def read_to_end(self) -> bytes:
        """All there is; only its last 64 KiB are kept."""
        kept = b""
        while piece := await self.read_some():
            kept = (kept + piece)[-PIECE_BYTES:]
        return kept

    async def read_head(self) -> Answer:
        """The head of the next final answer."""
        while True:
            try:
                head = await self.reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError as cut:
                raise Over("waiting for an answer", bool(cut.partial), cut.partial[:80] or "") from None
            except OSError as error:
                raise Over("waiting for an answer", False, error) from None
            first, *lines = head[:-4].split(b"\r\n")
            status = int(first.split(b" ", 2)[1])
            if status >= 200:
                break
        pairs = (line.partition(b":") for line in lines)
        return Answer(status, {name.lower(): value.strip() for name, _, value in pairs})

    async def read(
        self, method: str = "GET", sink: Callable[[bytes], None] | None = None, pause_s: float = 0.0
    ) -> Answer:
        """The next answer. ``sink`` takes the body's pieces; without it they are kept. ``pause_s``: between pieces."""
        answer = await self.read_head()
        pieces: list[bytes] = []
        take = sink or pieces.append
        try:
            if method == "HEAD" or answer.status in (204, 304):
                pass
            elif answer.fields.get(b"transfer-encoding") == b"chunked":
                await self._read_chunks(take, pause_s)
            elif b"content-length" in answer.fields:
                await self._read_exactly(int(answer.fields[b"content-length"]), take, pause_s)
            else:
                raise Unexplained(f"neither length nor chunks: {answer.fields}")
        except asyncio.IncompleteReadError as cut:
            raise Over("reading a body", True, f"{len(cut.partial)} bytes of the last part") from None
        except OSError as error:
            raise Over("reading a body", True, error) from None
        answer.body = b"".join(pieces)
        self.answered += 1
        self.idle_since_s = time.monotonic()
        return answer

    async def _read_chunks(self, take: Callable[[bytes], None], pause_s: float) -> None:
        while size := int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16):
            await self._read_exactly(size, take, pause_s)
            await self.reader.readexactly(2)
        while await self.reader.readuntil(b"\r\n") != b"\r\n":
            pass

    async def _read_exactly(self, size: int, take: Callable[[bytes], None], pause_s: float) -> None:
        while size:
            piece = await self.reader.read(min(size, PIECE_BYTES))
            if not piece:
                raise asyncio.IncompleteReadError(b"", size)
            take(piece)
            size -= len(piece)
            if pause_s:
                await asyncio.sleep(pause_s)


def request(method: str, target: str, *fields: str, body: bytes | None = None, is_last: bool = False) -> bytes:
    """A request's bytes."""
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *fields]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    if is_last:
        lines.append("Connection: close")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")


def chunked(body: bytes, size: int) -> bytes:
    """A body in chunks of ``size``, with its end."""
    parts = [b"%x\r\n%b\r\n" % (len(body[at : at + size]), body[at : at + size]) for at in range(0, len(body), size)]
    return b"".join(parts) + b"0\r\n\r\n"
