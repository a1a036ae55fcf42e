"""HTTP/2 frames made and read by hand, and a client's side in memory, for tests of the wire and of whole servers.

Header blocks are written without compression, so that a test can send what no library would.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torana.wire.events import CLOSED, NEED_DATA
from torana.wire.http2.connection import Http2Connection
from torana.wire.http2.errors import Http2Error
from torana.wire.http2.hpack import Decoder
from torana.wire.http2.limits import Limits

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
PRIORITY_UPDATE = 16
END_STREAM, ACK, END_HEADERS, PADDED, HAS_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20

Fields = list[tuple[bytes, bytes]]

GET: Fields = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"t")]
POST: Fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"t")]
WEBSOCKET: Fields = [
    (b":method", b"CONNECT"),
    (b":protocol", b"websocket"),
    (b":scheme", b"http"),
    (b":path", b"/chat"),
    (b":authority", b"t"),
    (b"sec-websocket-version", b"13"),
]


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame, whatever it says."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def integer(value: int, bits: int, pattern: int = 0) -> bytes:
    """An HPACK integer (RFC 7541 section 5.1) with a prefix of ``bits``."""
    most = (1 << bits) - 1
    if value < most:
        return bytes((pattern | value,))
    out = bytearray((pattern | most,))
    value -= most
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def block(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A header block of literals, nothing indexed, nothing compressed."""
    return b"".join(b"\0" + integer(len(n), 7) + n + integer(len(v), 7) + v for n, v in fields)


def headers(
    stream: int, fields: Iterable[tuple[bytes, bytes]] = GET, is_end: bool = True, flags: int = END_HEADERS
) -> bytes:
    """HEADERS with the whole block."""
    return frame(HEADERS, flags | (END_STREAM if is_end else 0), stream, block(fields))


def data(stream: int, payload: bytes, is_end: bool = False, padding: int | None = None) -> bytes:
    """DATA, with so many bytes of padding behind it."""
    flags = END_STREAM if is_end else 0
    if padding is not None:
        return frame(DATA, flags | PADDED, stream, bytes((padding,)) + payload + bytes(padding))
    return frame(DATA, flags, stream, payload)


def settings(*pairs: tuple[int, int], flags: int = 0, stream: int = 0) -> bytes:
    """SETTINGS."""
    return frame(SETTINGS, flags, stream, b"".join(n.to_bytes(2, "big") + v.to_bytes(4, "big") for n, v in pairs))


def update(stream: int, increment: int) -> bytes:
    """WINDOW_UPDATE."""
    return frame(WINDOW_UPDATE, 0, stream, increment.to_bytes(4, "big"))


def rst(stream: int, code: int = 8) -> bytes:
    """RST_STREAM, CANCEL unless told otherwise."""
    return frame(RST_STREAM, 0, stream, code.to_bytes(4, "big"))


def ping(payload: bytes = b"12345678", flags: int = 0) -> bytes:
    """PING."""
    return frame(PING, flags, 0, payload)


def goaway(last: int = 0, code: int = 0) -> bytes:
    """GOAWAY."""
    return frame(GOAWAY, 0, 0, last.to_bytes(4, "big") + code.to_bytes(4, "big"))


@dataclass(frozen=True)
class Frame:
    """A frame that was received."""

    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def code(self) -> int:
        """The error code of RST_STREAM or GOAWAY."""
        return int.from_bytes(self.payload[4:8] if self.kind == GOAWAY else self.payload[:4], "big")

    @property
    def number(self) -> int:
        """What WINDOW_UPDATE adds, or the last stream of GOAWAY."""
        return int.from_bytes(self.payload[:4], "big")

    @property
    def is_end(self) -> bool:
        return self.kind in (DATA, HEADERS) and bool(self.flags & END_STREAM)


def split(raw: bytes) -> tuple[list[Frame], bytes]:
    """Whole frames in ``raw``, and what is left."""
    found = []
    at = 0
    while len(raw) - at >= 9:
        size = int.from_bytes(raw[at : at + 3], "big")
        if len(raw) - at < 9 + size:
            break
        stream = int.from_bytes(raw[at + 5 : at + 9], "big")
        found.append(Frame(raw[at + 3], raw[at + 4], stream, raw[at + 9 : at + 9 + size]))
        at += 9 + size
    return found, raw[at:]


class Peer:
    """A client's side: what comes from a server, sorted by stream. Feed it with ``take``."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        #: Heads (interim ones and trailers too), bodies, and what ended a stream, by stream.
        self.heads: dict[int, list[dict[bytes, bytes]]] = {}
        self.bodies: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self.resets: dict[int, int] = {}
        self.goaways: list[tuple[int, int]] = []
        self._rest = b""
        self._decoder = Decoder(4096)
        self._block = b""

    def take(self, raw: bytes) -> list[Frame]:
        """Frames in ``raw`` (and what came before it)."""
        found, self._rest = split(self._rest + raw)
        for item in found:
            self._note(item)
        self.frames += found
        return found

    def _note(self, item: Frame) -> None:
        stream = item.stream
        if item.kind in (HEADERS, CONTINUATION):
            self._block += item.payload
            if item.flags & END_HEADERS:
                fields = self._decoder.decode(self._block, 1 << 20, 1000)
                self.heads.setdefault(stream, []).append(dict(fields))
                self._block = b""
        elif item.kind == DATA:
            self.bodies[stream] = self.bodies.get(stream, b"") + item.payload
        elif item.kind == RST_STREAM:
            self.resets[stream] = item.code
        elif item.kind == GOAWAY:
            self.goaways.append((item.number, item.code))
        if item.is_end:
            self.ended.add(stream)


class Wire:
    """A server's wire with a client in memory before it. ``send`` gives the events that bytes lead to."""

    def __init__(self, limits: Limits | None = None, is_begun: bool = True, **bounds: Any) -> None:
        numbers = {"head_bytes": 65536, "field_bytes": 16384, "field_count": 128, "trailer_bytes": 8192} | bounds
        has_connect = numbers.pop("has_connect_protocol", True)
        self.limits = limits or Limits()
        self.server = Http2Connection(self.limits, **numbers, has_connect_protocol=has_connect)
        self.client = Peer()
        self.now = 1000.0
        self.events: list[Any] = []
        self.streams: dict[int, Any] = {}
        self.error: Http2Error | None = None
        self.is_closed = False
        self.server.begin()
        if is_begun:
            assert self.send(PREFACE + settings() + settings(flags=ACK)) == []
            self.read()
            self.client.frames.clear()

    def send(self, *pieces: bytes) -> list[Any]:
        """Have the server receive ``pieces``, one by one; the events of all."""
        found: list[Any] = []
        for piece in pieces:
            self.server.receive(piece, self.now)
            found += self.take()
        return found

    def take(self) -> list[Any]:
        """Events that are ready."""
        found: list[Any] = []
        while not self.is_closed:
            try:
                event = self.server.next()
            except Http2Error as error:
                assert self.error is None, "a second error"
                self.error = error
                continue
            if event is NEED_DATA:
                break
            if event is CLOSED:
                self.is_closed = True
                break
            found.append(event)
            if type(event).__name__ == "Opened":
                self.streams[event.stream.id] = event.stream
        self.events += found
        return found

    def read(self, most: int = 1 << 20) -> list[Frame]:
        """What the server has to send."""
        found = []
        while raw := self.server.output(most):
            found += self.client.take(raw)
        return found

    def answer(self, stream: int, body: bytes = b"hello", fields: Fields | None = None, status: int = 200) -> None:
        """Answer a request that was Opened, and let its application end."""
        state = self.streams[stream]
        self.server.send_head(state, status, fields or [], len(body), body, True, b"", [])
        self.server.finished(state)


def names(events: Iterable[Any]) -> list[str]:
    """What kinds of events these are, with the stream of each."""
    return [f"{type(event).__name__} {event.stream.id}" if hasattr(event, "stream") else str(event) for event in events]
