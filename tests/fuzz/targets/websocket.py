"""The frames of a WebSocket, echoed. ``wire/websocket``."""

from __future__ import annotations

import struct
import zlib

from tests.fuzz.shapes.websocket import grow
from tests.fuzz.target import Target, Verdict, cuts
from torana.wire.events import CLOSED, NEED_DATA
from torana.wire.websocket.connection import BUSY, PONG, Closed, WebSocketConnection
from torana.wire.websocket.extensions import Deflate
from torana.wire.websocket.limits import Limits

#: By the first byte of the input: the largest message, and what was agreed on.
_SETTINGS = (
    (1 << 20, None),
    (1 << 20, Deflate()),
    (1000, None),
    (1000, Deflate(9, 15, False, False)),
    (1000, Deflate(9, 9, True, True)),
)
#: The last of them: with a small window zlib takes a distance that is too large, or not, as the output is cut.
_SMALL_WINDOW = len(_SETTINGS) - 1
#: Seconds: as if all came at once.
_NOW = 5.0


def _read(pieces: list[bytes], message_bytes: int, deflate: Deflate | None) -> tuple[list[Verdict], list[bytes]]:
    """The events, and the answers to messages; then the answers to control frames, which cuts may change."""
    connection = WebSocketConnection(Limits(message_bytes), deflate)
    events: list[Verdict] = []
    answers = []
    for piece in pieces:
        connection.receive(piece, _NOW)
        while (event := connection.next()) is not NEED_DATA and event is not CLOSED:
            if isinstance(event, Closed):
                events.append((event.code, event.reason, event.is_failure, event.setting))
            elif event is BUSY:
                continue
            elif event is PONG:
                events.append("pong")
            elif isinstance(event, str):
                assert len(event.encode()) <= message_bytes
                events.append((event, connection.text(event)))
            else:
                assert type(event) is bytes
                assert len(event) <= message_bytes
                events.append((event, connection.binary(event)))
            assert connection.held() <= sum(map(len, pieces)) + 2 * message_bytes
        answers.append(connection.take_output())
        assert not connection.has_output()
    events.append(connection.is_closed())
    return events, answers


def _alike(events: list[Verdict]) -> list[Verdict]:
    """The events without what cuts may change: of two faults in compressed data zlib's hides the other."""
    return ["bad" if isinstance(event, tuple) and event[0] in (1007, 1009) else event for event in events]


def _run(data: bytes) -> Verdict:
    if len(data) < 2:
        return ()
    choice = data[0] % len(_SETTINGS)
    message_bytes, deflate = _SETTINGS[choice]
    whole, answers = _read([data[1:]], message_bytes, deflate)
    for pieces in cuts(data[1:]):
        events, _ = _read(pieces, message_bytes, deflate)
        is_same = events == whole if deflate is None else _alike(events) == _alike(whole)
        assert choice == _SMALL_WINDOW or is_same, "the cuts of the bytes changed what was read"
    return whole, answers


def _head(first: int, size: int) -> bytes:
    if size < 126:
        return struct.pack("!BB", first, 0x80 | size)
    return struct.pack("!BBH", first, 0xFE, size) if size < 0x10000 else struct.pack("!BBQ", first, 0xFF, size)


def _frame(first: int, payload: bytes, key: bytes = b"\x37\xfa\x21\x3d") -> bytes:
    return _head(first, len(payload)) + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


def _mended(part: bytes) -> bytes:
    """A frame with the same masked payload under a length that fits."""
    if len(part) < 6:
        return part
    head = {0xFE: 4, 0xFF: 10}.get(part[1], 2)
    payload = part[head + 4 :]
    return _head(part[0], len(payload)) + part[head : head + 4].ljust(4, b"k") + payload


def _deflated(text: bytes) -> bytes:
    maker = zlib.compressobj(wbits=-15)
    return (maker.compress(text) + maker.flush(zlib.Z_SYNC_FLUSH))[:-4]


_HELLO = _frame(0x81, b"hello")
_TEXT = "Grüße, 世界 🌍".encode()

FRAMES = Target(
    "websocket",
    _run,
    (
        (b"\x00", _HELLO, _frame(0x82, bytes(range(200))), _frame(0x88, b"\x03\xe8bye")),
        (b"\x00", _frame(0x01, _TEXT[:3]), _frame(0x89, b"ping"), _frame(0x00, _TEXT[3:9]), _frame(0x80, _TEXT[9:])),
        (b"\x00", _frame(0x02, b""), _frame(0x00, b""), _frame(0x8A, b""), _frame(0x80, b"end"), _frame(0x88, b"")),
        (b"\x00", _frame(0x82, b"x" * 70_000)[:20_000], _HELLO),
        (b"\x00", _frame(0x88, b"\x03\xee"), _HELLO),
        (b"\x00", _frame(0x81, b"\xff"), _HELLO),
        (b"\x00", _frame(0x81, b"\xed\xa0\x80"), _frame(0x83, b""), _frame(0x81, b"\xf4\x90")),
        (b"\x01", _frame(0xC1, _deflated(b"hello" * 50)), _frame(0xC1, _deflated(_TEXT)), _frame(0x81, b"plain")),
        (b"\x01", _frame(0x41, _deflated(b"ab" * 99)[:5]), _frame(0x80, _deflated(b"ab" * 99)[5:]), _HELLO),
        (b"\x01", _frame(0xC2, _deflated(bytes(500_000))), _frame(0xC2, b"\x00"), _frame(0xC2, b"")),
        (b"\x02", _frame(0x82, b"x" * 1001), _HELLO),
        (b"\x02", _frame(0x02, b"x" * 500), _frame(0x00, b"x" * 400), _frame(0x80, b"x" * 101)),
        (b"\x03", _frame(0xC2, _deflated(bytes(2000))), _HELLO),
        (b"\x04", _frame(0xC1, _deflated(b"hello" * 50)), _frame(0xC2, _deflated(bytes(900))), _HELLO),
        (b"\x03", _frame(0xC1, _deflated(b"short") + b"\x01\x00"), _frame(0xC9, b"")),
    ),
    (
        *(b"\x81\x80", b"\x89\x80", b"\x88\x82", b"\x01\x80", b"\x00\x80", b"\x80\x80", b"\xc1\x85", b"\xfe\x00\x7e"),
        *(b"\xff\x00\x00\x00\x00\x00\x01\x00\x00", b"\xff\x80\x00\x00\x00\x00\x00\x00\x00", b"\x00\x00\x00\x00"),
        *(b"\xff\xff", b"\xed\xa0\x80", b"\xf0\x9f\x8c\x8d", b"\x03\xe8", b"\x00\x00\xff\xff"),
    ),
    _mended,
    grow,
)
