"""Makes a client's frames, drives a connection over pieces of them, and writes down what cuts cannot change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from torana.wire.events import CLOSED, NEED_DATA
from torana.wire.websocket.connection import BUSY, PONG, Closed, WebSocketConnection
from torana.wire.websocket.extensions import Deflate
from torana.wire.websocket.limits import Limits

LIMITS = Limits()
KEY = b"\x37\xfa\x21\x3d"

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG_FRAME = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
COMPRESSED = 0x40


def masked(payload: bytes, key: bytes = KEY) -> bytes:
    """``payload`` under ``key``, byte by byte as section 5.3 has it."""
    return bytes(byte ^ key[at & 3] for at, byte in enumerate(payload))


def length(size: int, bit: int = 0x80) -> bytes:
    """The length of a payload, with the mask bit."""
    if size < 126:
        return bytes((bit | size,))
    if size < 0x10000:
        return bytes((bit | 126,)) + size.to_bytes(2, "big")
    return bytes((bit | 127,)) + size.to_bytes(8, "big")


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, bits: int = 0, key: bytes = KEY) -> bytes:
    """One frame of a client."""
    return bytes(((0x80 if fin else 0) | bits | opcode,)) + length(len(payload)) + key + masked(payload, key)


def close(code: int | None = None, reason: bytes = b"") -> bytes:
    """A client's close frame."""
    return frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason)


@dataclass
class Outcome:
    """Messages and pongs in order, and the end: ``Closed`` as a tuple; all that was put out."""

    events: list[Any] = field(default_factory=list)
    closed: tuple[int, str, bool, str] | None = None
    output: bytes = b""
    mark: object = None


def drive(
    pieces: Iterable[bytes],
    limits: Limits = LIMITS,
    deflate: Deflate | None = None,
    *,
    now: float = 1.0,
    connection: WebSocketConnection | None = None,
) -> Outcome:
    """Feed ``pieces`` and take everything; output is taken only at the end, so that pongs coalesce."""
    connection = connection or WebSocketConnection(limits, deflate)
    outcome = Outcome()
    for piece in pieces:
        connection.receive(piece, now)
        pump(connection, outcome)
    outcome.output = connection.take_output()
    assert not connection.has_output()
    return outcome


def pump(connection: WebSocketConnection, outcome: Outcome) -> None:
    """Take all events that are there."""
    while True:
        event = connection.next()
        outcome.mark = event
        if event is NEED_DATA or event is CLOSED:
            return
        if event is BUSY:
            continue
        assert outcome.closed is None, "an event after the end"
        if isinstance(event, Closed):
            outcome.closed = (event.code, event.reason, event.is_failure, event.setting)
            assert connection.is_closed()
            assert connection.held() == 0
        else:
            assert event is PONG or type(event) is str or type(event) is bytes
            outcome.events.append(event)


def server_frames(data: bytes) -> list[tuple[int, bytes]]:
    """Our frames as (first byte, payload); unmasked, lengths in their shortest form."""
    frames = []
    at = 0
    while at < len(data):
        first, size = data[at], data[at + 1]
        start = at + 2
        assert size < 128, "masked"
        if size > 125:
            start += 2 if size == 126 else 8
            size = int.from_bytes(data[at + 2 : start], "big")
            assert data[at : at + 1] + length(size, 0) == data[at:start]
        assert start + size <= len(data)
        frames.append((first, data[start : start + size]))
        at = start + size
    return frames
