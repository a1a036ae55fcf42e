"""The frames of an HTTP/2 connection, with applications of four kinds behind it. ``wire/http2``."""

from __future__ import annotations

import struct
from typing import Any
from zlib import crc32

from tests.fuzz.shapes.http2 import PREFACE, frame, grow
from tests.fuzz.target import Seed, Target, Verdict
from torana.wire.events import CLOSED, NEED_DATA
from torana.wire.http2.connection import Http2Connection
from torana.wire.http2.control import PING_PAYLOAD
from torana.wire.http2.errors import Http2Error
from torana.wire.http2.events import PINGED, Body, Ended, Opened, Refused, Reset
from torana.wire.http2.hpack import Decoder, Encoder
from torana.wire.http2.limits import Limits

#: By the first byte of the input: limits, and the bounds of a head (in all, a field, fields, trailers). The preface is
#: and the first SETTINGS are part of the input only where that byte is large: else most inputs would end there.
_SETTINGS = (
    (Limits(), (65536, 16384, 128, 8192)),
    (Limits(streams=2, stream_window_bytes=65535, connection_window_bytes=65535, resets=3), (400, 120, 8, 100)),
)
#: Seconds: as if all came at once.
_NOW = 5.0
_HEAD_ATTRIBUTES = "method target raw_path query fields version content_length expects_continue upgrade takes_trailers"


class _Session:
    """One connection, and what became of its requests."""

    def __init__(self, limits: Limits, bounds: tuple[int, int, int, int]) -> None:
        self.wire = Http2Connection(limits, *bounds, True)
        self.wire.begin()
        self.wire.ping()
        #: What happened, with neighbouring pieces of a body as one; what may come earlier or later; what was sent.
        self.events: list[Any] = []
        self.late: list[Any] = []
        self.sent = bytearray()
        self._running: dict[int, Any] = {}
        self._tunnels: set[int] = set()

    def feed(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            self.wire.receive(piece, _NOW)
            self._take_events()
        self.wire.tick(_NOW + 1)
        self._take_events()
        for stream in list(self._running.values()):
            self._finish(stream)
        self.wire.shut_down()
        self.wire.go_away()
        self._take_output()
        self.events.append((self.wire.running, self.wire.last_id, self.wire.is_settled, self.wire.has_goaway))

    def _take_events(self) -> None:
        while True:
            try:
                event = self.wire.next()
            except Http2Error as error:
                self.events.append((error.status, error.code, error.reason, error.setting))
                for stream in list(self._running.values()):
                    self._finish(stream)
                continue
            if event is not NEED_DATA and event is not CLOSED:
                self._handle(event)
            self._take_output()
            if (event is NEED_DATA and not self.wire.has_events) or event is CLOSED:
                return

    def _take_output(self) -> None:
        while piece := self.wire.output(16384):
            self.sent += piece

    def _handle(self, event: Any) -> None:
        if event is PINGED:
            self.events.append("pinged")
            return
        stream = event.stream
        if isinstance(event, Opened):
            head = event.head
            self.events.append((stream.id, [getattr(head, name) for name in _HEAD_ATTRIBUTES.split()]))
            self._running[stream.id] = stream
            self._begin(stream, head)
        elif isinstance(event, Body):
            last: Any = self.events[-1] if self.events else ()
            if last[:2] == ("body", stream.id):
                self.events[-1] = ("body", stream.id, last[2] + event.data, last[3] + event.size)
            else:
                self.events.append(("body", stream.id, event.data, event.size))
            self.wire.acknowledge(stream, event.size)
            if stream.id in self._tunnels:
                self.wire.send_data(stream, event.data, False)
        elif isinstance(event, Ended):
            self.events.append(("ended", stream.id, event.trailers))
            self._end(stream)
        elif isinstance(event, Reset):
            self.events.append(("reset", stream.id, event.code, event.is_ours, event.reason, event.setting))
            self._finish(stream)
        elif isinstance(event, Refused):
            self.events.append(("refused", stream.id, event.status, event.code, event.reason, event.setting))
        else:
            self.late.append((type(event).__name__, stream.id))

    def _begin(self, stream: Any, head: Any) -> None:
        """Applications by the number of their stream: the hasty, the patient, the talkative, the silent."""
        if head.upgrade is not None:
            self._tunnels.add(stream.id)
            self.wire.send_head(stream, 200, [], -1, b"", False, b"", [])
            return
        kind = stream.id // 2 % 4
        if kind == 0:
            self.wire.send_head(stream, 200, [(b"X-Kind", b"hasty")], 5, b"hello", True, b"now", [(b"server", b"t")])
            self._finish(stream)
        elif kind == 2:
            self.wire.send_informational(stream, 103, [(b"link", b"</a>")])
            self.wire.send_head(stream, 404, [(b"content-type", b"text/plain")], -1, b"x" * 30_000, False, b"", [])
            self.wire.send_data(stream, b"y" * 70_000, False)
            self.wire.send_data(stream, b"", True)
            self._finish(stream)
        elif kind == 1 and head.content_length == 0:
            self._end(stream)

    def _end(self, stream: Any) -> None:
        """The request is complete."""
        if stream.id in self._tunnels:
            self.wire.send_data(stream, b"bye", True)
            self._finish(stream)
        elif stream.id // 2 % 4 == 1:
            self.wire.send_head(stream, 200, [(b"trailer", b"x-sum")], -1, b"patient", False, b"", [])
            self.wire.send_trailers(stream, [(b"x-sum", b"1")])
            self._finish(stream)

    def _finish(self, stream: Any) -> None:
        if self._running.pop(stream.id, None) is not None:
            self.wire.finished(stream)


def split(data: bytes) -> list[bytes]:
    """The frames of ``data``; what is no whole frame stays at the end."""
    at = len(PREFACE)
    found = [data[:at]]
    while at < len(data):
        size = 9 + int.from_bytes(data[at : at + 3], "big")
        found.append(data[at : at + size])
        at += size
    return found


def _sent_frames(data: bytes) -> list[Verdict]:
    """What we sent, frame by frame; its header blocks must be legible in their order."""
    decoder = Decoder()
    block = b""
    found: list[Verdict] = []
    for one in split(PREFACE + data)[1:]:
        size, kind, flags, number = one[2] | one[1] << 8 | one[0] << 16, one[3], one[4], one[5:9]
        assert len(one) == 9 + size and size <= 16384, "we sent half a frame, or one that is too long"
        if kind in (1, 9):
            assert bool(block) == (kind == 9)
            block += one[9:]
            if flags & 4:
                found.append((flags, number, decoder.decode(block, 1 << 20, 1000)))
                block = b""
        else:
            assert not block, "we sent something within a header block"
            found.append((kind, flags, number, size if kind == 0 else one[9:]))
    assert not block
    return found


def _read(pieces: list[bytes], choice: int) -> _Session:
    session = _Session(*_SETTINGS[choice])
    session.feed([piece for piece in pieces if piece])
    return session


def _run(data: bytes) -> Verdict:
    if not data:
        return ()
    choice = data[0] % len(_SETTINGS)
    data = data[1:] if data[0] & 0x80 else PREFACE + frame(4, 0, 0) + data[1:]
    whole = _read([data], choice)
    # What we send meanwhile may change what the client's next frame means: all these stop after each frame.
    frames = split(data)
    by_frame = _read(frames, choice)
    at = crc32(data) % (len(data) + 1)
    step = 1 if len(data) <= 600 else 13
    cut = [part for one in frames for part in (one[: at % (len(one) + 1)], one[at % (len(one) + 1) :])]
    single = [one[start : start + step] for one in frames for start in range(0, len(one), step)]
    for pieces in (cut, single):
        assert _read(pieces, choice).events == by_frame.events, "the cuts of the bytes changed what was read"
    return whole.events, whole.late, _sent_frames(bytes(whole.sent)), by_frame.events


# --- seeds


def _mended(part: bytes) -> bytes:
    if len(part) < 9 or part.startswith(b"PRI"):
        return part
    return struct.pack("!I", len(part) - 9)[1:] + part[3:]


def _request(*more: tuple[bytes, bytes], method: bytes = b"GET", path: bytes = b"/a?b") -> bytes:
    fields = [(b":method", method), (b":scheme", b"https"), (b":path", path), (b":authority", b"t")]
    return Encoder().encode([*fields, *more], has_pseudo=True)


def _plain(*fields: tuple[bytes, bytes]) -> bytes:
    """Literals without any table, for what our encoder refuses to write."""
    return b"".join(
        b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value for name, value in fields
    )  # fmt: skip


_START = (b"\x00",)
_TIGHT_START = (b"\x01",)
_ACK = frame(4, 1, 0)
_GET = _request()
_POST = _request((b"content-length", b"5"), method=b"POST")
_CRUMBS = _request((b"cookie", b"a=1"), (b"cookie", b"b=2"), (b"te", b"trailers"), (b"priority", b"u=1, i"))
_TUNNEL = _plain(
    (b":method", b"CONNECT"),
    *((b":protocol", b"websocket"), (b":scheme", b"https"), (b":path", b"/w"), (b":authority", b"t")),
)
_BAD = (
    _plain((b":method", b"GET"), (b":path", b"/"), (b":scheme", b"http"), (b"A", b"1")),
    _plain((b":method", b"GET"), (b":path", b""), (b":scheme", b"http"), (b"host", b"t")),
    _plain((b":method", b"GET"), (b"a", b"1"), (b":path", b"/"), (b":scheme", b"http")),
    _request((b"connection", b"close")),
    _request((b"te", b"gzip"), (b"host", b"other")),
    _request((b"x", b"y" * 300)),
)


def _gets(numbers: range) -> Seed:
    return tuple(frame(1, 5, number, _GET) for number in numbers)


FRAMES = Target(
    "http2",
    _run,
    (
        (b"\x80", PREFACE, frame(4, 0, 0), _ACK, frame(1, 5, 1, _GET)),
        (*_START, _ACK, frame(1, 5, 1, _GET), frame(1, 4, 3, _POST), frame(0, 1, 3, b"hello")),
        (*_START, frame(1, 4, 3, _POST), frame(0, 0, 3, b"hel"), frame(0, 8, 3, b"\x02lo\0\0"), frame(0, 1, 3)),
        (*_START, frame(1, 4, 3, _POST), frame(0, 0, 3, b"hello"), frame(1, 5, 3, _plain((b"x-t", b"1")))),
        (*_START, frame(1, 4, 3, _POST), frame(0, 1, 3, b"hello!"), frame(3, 0, 3, b"\0\0\0\x08")),
        (*_START, frame(1, 5, 5, _GET), frame(8, 0, 0, b"\0\1\0\0"), frame(8, 0, 5, b"\0\1\0\0"), _ACK),
        (*_START, frame(1, 5, 5, _CRUMBS), frame(3, 0, 5, b"\0\0\0\x08"), frame(16, 0, 0, b"\0\0\0\x05u=0")),
        (b"\x00", frame(4, 0, 0, b"\0\4\0\0\0\0\0\1\0\0\0\0"), *_gets(range(1, 9, 2))),
        (b"\x00", frame(4, 0, 0, b"\0\4\x7f\xff\xff\xff\0\5\0\0\x40\0"), *_gets(range(5, 21, 8))),
        (
            *_START,
            frame(1, 0, 1, _GET[:3]),
            frame(9, 0, 1, _GET[3:5]),
            frame(9, 4, 1, _GET[5:]),
            *_gets(range(5, 6)),
        ),
        (*_START, frame(1, 0x2D, 1, b"\2\0\0\0\0\x10" + _GET + b"\0\0"), frame(2, 0, 3, b"\0\0\0\1\x10")),
        (*_START, frame(1, 4, 1, _TUNNEL), frame(0, 0, 1, b"\x81\x80abcd"), frame(0, 1, 1)),
        (
            *_START,
            frame(6, 0, 0, b"12345678"),
            frame(6, 1, 0, PING_PAYLOAD),
            frame(7, 0, 0, bytes(8)),
            frame(99, 1, 1),
        ),
        (
            *_START,
            frame(4, 0, 0, b"\0\1\0\0\0\0"),
            *_gets(range(1, 5)),
            frame(4, 0, 0, b"\0\1\0\0\x10\0"),
            *_gets(range(9, 11)),
        ),
        *((*_START, frame(1, 5, 1, block), frame(1, 5, 3, _GET)) for block in _BAD),
        (*_TIGHT_START, *_gets(range(1, 17, 2))),
        (*_TIGHT_START, *(frame(1, 4, number, _POST) + frame(3, 0, number, bytes(4)) for number in range(1, 11, 2))),
        (*_TIGHT_START, frame(1, 4, 7, _request(method=b"PUT")), *([frame(0, 0, 7, bytes(16384))] * 5)),
        (*_TIGHT_START, frame(1, 5, 3, _request((b"x", b"y" * 200))), frame(1, 5, 5, _request((b"x", b"y" * 2000)))),
    ),
    (
        *(_ACK, frame(0, 1, 1), frame(0, 0, 1), frame(3, 0, 1, bytes(4)), frame(8, 0, 0, b"\x7f\xff\xff\xff")),
        *(frame(9, 4, 1), frame(1, 5, 1, b"\xbe"), frame(1, 5, 7, _GET), frame(6, 0, 0, bytes(8)), b"\0\0\0\1"),
        *(b"\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\4\0\0\0\0", b"\0\3\0\0\0\1", b"\0\2\0\0\0\2", b"\x82", b"\xbe"),
    ),
    _mended,
    grow,
)
