"""WebSocket frames on real sockets, over HTTP/1.1 and on streams of HTTP/2, and what came back.

Never here: verdicts, what a frame is (``tests/unit/wire/websocket_driver`` makes and reads them).
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterable
from typing import Protocol, Self

from tests.support.http2 import WEBSOCKET, Fields, data, headers
from tests.support.talking import handshake
from tests.support.websocket_raw import CLOSE, PONG, Frame, RawSocket
from tests.threats.http2_wire import Streams
from tests.threats.stage import Stage
from tests.unit.wire.websocket_driver import TEXT, frame

DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate"
#: Its size tells it from all others; the application must not see it once the connection has failed.
CANARY_BYTES = 777
CANARY = frame(TEXT, b"c" * CANARY_BYTES)
VALID = frame(TEXT, b"valid")


class Talk(Protocol):
    """One conversation as its client sees it."""

    def send(self, *pieces: bytes) -> None: ...

    def next(self) -> Frame | None:
        """The next frame, None at the end."""
        ...


def until_closed(talk: Talk) -> list[Frame]:
    """All frames to the end."""
    found = []
    while (item := talk.next()) is not None:
        found.append(item)
    return found


def until_canary(talk: Talk) -> list[Frame]:
    """All frames, pongs left out, up to the echo of the canary, or to the end."""
    found = []
    while (item := talk.next()) is not None:
        if item.payload == b"c" * CANARY_BYTES:
            break
        if item.opcode != PONG:
            found.append(item)
    return found


class Socket:
    """Over HTTP/1.1: a connection of its own."""

    def __init__(
        self, stage: Stage, *fields: bytes, then: bytes = b"", path: bytes = b"/chat", buffer: int = 0
    ) -> None:
        self.raw = RawSocket(stage.address, receive_buffer_bytes=buffer)
        self.raw.send(handshake(*fields, path=path) + then)
        self._is_open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.raw.close()

    def open(self) -> Self:
        """Read the 101."""
        if not self._is_open:
            self._is_open = True
            answer = self.raw.read_answer()
            assert answer.status == 101, answer
        return self

    def send(self, *pieces: bytes) -> None:
        """As far as the server takes them."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for piece in pieces:
                self.raw.send(piece)

    def next(self) -> Frame | None:
        self.open()
        try:
            return self.raw.read_frame()
        except EOFError as cut:
            assert not cut.args[0]
            return None


class Stream:
    """On a stream of HTTP/2 (RFC 8441)."""

    def __init__(self, streams: Streams, number: int, *fields: tuple[bytes, bytes]) -> None:
        self._streams = streams
        self._number = number
        self._at = 0
        whole: Fields = [*WEBSOCKET, *fields]
        streams.send(headers(number, whole, is_end=False))

    def send(self, *pieces: bytes) -> None:
        self._streams.send(*(data(self._number, piece) for piece in pieces))

    def next(self) -> Frame | None:
        streams, number = self._streams, self._number
        while (found := self._first()) is None:
            if streams.is_over or number in streams.peer.ended or number in streams.peer.resets:
                return None
            streams.read()
        return found

    def _first(self) -> Frame | None:
        raw = self._streams.peer.bodies.get(self._number, b"")[self._at :]
        if len(raw) < 2:
            return None
        assert raw[1] < 0x80, "servers do not mask"
        head, size = 2, raw[1]
        if size > 125:
            head = 4 if size == 126 else 10
            if len(raw) < head:
                return None
            size = int.from_bytes(raw[2:head], "big")
        if len(raw) < head + size:
            return None
        self._at += head + size
        return Frame(raw[0] & 15, raw[head : head + size], raw[0] >= 0x80)


def single(raw: bytes) -> Iterable[bytes]:
    """Byte by byte."""
    return (raw[at : at + 1] for at in range(len(raw)))


def code_of(frames: list[Frame]) -> int:
    """Of the close frame with which they end; 0 when there is none, or something behind it."""
    closes = [item for item in frames if item.opcode == CLOSE]
    return struct.unpack("!H", closes[0].payload[:2])[0] if len(closes) == 1 and frames[-1] is closes[0] else 0
