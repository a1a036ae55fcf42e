"""Twice as much input costs no more than twice as much, for each parser (threat G-071).

In the pure build calls of functions are counted, which is the same each time; where the work is done within C, in
either build, processor time is compared between n and 4 n, the least of several: linear work takes four times as long,
quadratic sixteen times.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import FrameType

import pytest

from tests.support.http2 import POST, Wire, block, data, headers, integer
from tests.unit.wire.http1_driver import drive as drive_http1
from tests.unit.wire.websocket_driver import drive as drive_websocket
from tests.unit.wire.websocket_driver import frame as websocket_frame
from torana.base.build import is_compiled
from torana.base.endpoints import Endpoints
from torana.gateway.asgi.describe import path_of
from torana.serve.access_format import escape, quote_json
from torana.serve.forwarded import Trust
from torana.wire.events import PAUSED, WireError
from torana.wire.http1.connection import Http1Connection
from torana.wire.http1.limits import Limits
from torana.wire.http2.hpack import Decoder
from torana.wire.http2.limits import Limits as Http2Limits

_HUGE = 1 << 30
#: Nothing is refused: bounds are another matter.
_LIMITS = Limits(_HUGE, 32, _HUGE, _HUGE, _HUGE, _HUGE, _HUGE, _HUGE, _HUGE)
_HEAD = b"GET / HTTP/1.1\r\nHost: t\r\n"
_POST = b"POST / HTTP/1.1\r\nHost: t\r\n"
_CHUNKED = _POST + b"Transfer-Encoding: chunked\r\n\r\n"
_REST = b" HTTP/1.1\r\nHost: t\r\n\r\n"
_CALLS_RATIO = 2.3
_TIME_RATIO = 8.0
_ENDS = Endpoints(("127.0.0.1", 1), ("127.0.0.1", 80), "http")

Work = Callable[[], object]


def _http1(raw: bytes, step: int = 0) -> Work:
    """All of it read, whole or in pieces."""
    pieces = [raw[at : at + step] for at in range(0, len(raw), step)] if step else [raw]

    def work() -> object:
        connection = Http1Connection(_LIMITS)
        event: object = None
        for piece in pieces:
            connection.receive(piece)
            while (event := connection.next()).__class__ is not PAUSED.__class__:
                pass
        assert event is PAUSED, event
        return event

    return work


def _refused(raw: bytes) -> Work:
    return lambda: drive_http1([raw]).error


def _forwarded(name: bytes, element: bytes) -> Callable[[int], Work]:
    def sized(count: int) -> Work:
        fields = [(name, b",".join([element] * count))]

        def work() -> None:
            with pytest.raises(WireError):
                Trust(("127.0.0.1",)).apply(_ENDS, fields)

        return work

    return sized


def _http2(count: int, step: int) -> Work:
    raw = headers(1, POST, is_end=False) + data(1, b"x" * 200) * count
    limits = Http2Limits(stream_window_bytes=_HUGE, connection_window_bytes=_HUGE)

    def work() -> None:
        wire = Wire(limits, head_bytes=_HUGE, field_bytes=_HUGE, field_count=_HUGE)
        for at in range(0, len(raw), step):
            wire.server.receive(raw[at : at + step], 1000.0)
            wire.take()
        assert wire.events
        assert wire.error is None

    return work


def _decoded(fields: list[tuple[bytes, bytes]], raw: bytes = b"") -> Work:
    raw = raw or block(fields)
    return lambda: Decoder(4096).decode(raw, _HUGE, _HUGE)


def _frames(count: int, size: int) -> Work:
    first = websocket_frame(2, b"x" * size, fin=False)
    raw = first + websocket_frame(0, b"x" * size, fin=False) * (count - 2) + websocket_frame(0, b"x" * size)
    return lambda: drive_websocket([raw])


#: How much n is, so that n takes about a millisecond in the compiled build; and the work.
_CASES: dict[str, tuple[int, Callable[[int], Work]]] = {
    "header fields of different names": (
        2000, lambda n: _http1(_HEAD + b"".join(b"N%d: v\r\n" % at for at in range(n)) + b"\r\n"),
    ),
    "one header field repeated": (2000, lambda n: _http1(_HEAD + b"Accept: a\r\n" * n + b"\r\n")),
    "cookies": (20_000, lambda n: _http1(_HEAD + b"Cookie: " + b"a=b; " * n + b"a=b\r\n\r\n")),
    "a header field, in reads of a byte": (5000, lambda n: _http1(_HEAD + b"X-a: " + b"b" * n + b"\r\n\r\n", 1)),
    "header fields, in reads of 7 bytes": (2000, lambda n: _http1(_HEAD + b"X-a: bc\r\n" * n + b"\r\n", 7)),
    "header fields with colons and blanks": (20_000, lambda n: _http1(_HEAD + b"X-a: " + b": " * n + b"b\r\n\r\n")),
    "a request line of //// and /a/../": (10_000, lambda n: _http1(b"GET " + b"/a/..//" * n + _REST)),
    "a request line of escapes": (10_000, lambda n: _http1(b"GET /" + b"%41" * n + _REST)),
    "chunks of a byte": (2000, lambda n: _http1(_CHUNKED + b"1\r\nx\r\n" * n + b"0\r\n\r\n")),
    "chunks of a byte, in reads of a byte": (
        2000, lambda n: _http1(_CHUNKED + b"1\r\nx\r\n" * n + b"0\r\n\r\n", 1),
    ),
    "chunk extensions": (
        10_000, lambda n: _http1(_CHUNKED + b"1" + b";a=b" * n + b"\r\nx\r\n0\r\n\r\n"),
    ),
    "trailer fields": (
        2000, lambda n: _http1(_CHUNKED + b"0\r\n" + b"X-a: b\r\n" * n + b"\r\n"),
    ),
    "digits of Content-Length": (100_000, lambda n: _refused(_POST + b"Content-Length: " + b"1" * n + b"\r\n\r\n")),
    "digits of a chunk's size": (
        100_000, lambda n: _refused(_CHUNKED + b"0" * n + b"1\r\n"),
    ),
    "elements of X-Forwarded-For": (20_000, _forwarded(b"x-forwarded-for", b"1.2.3.4")),
    "elements of Forwarded": (20_000, _forwarded(b"forwarded", b'for="[::1]"')),
    "pairs of Forwarded": (20_000, _forwarded(b"forwarded", b"for=a;" * 50)),
    "escapes of a path": (50_000, lambda n: lambda: path_of(b"/" + b"%41%ff/../" * n, "/root")),
    "HTTP/2: frames of DATA": (2000, lambda n: _http2(n, 1 << 30)),
    "HTTP/2: frames of DATA, in reads of 7 bytes": (200, lambda n: _http2(n, 7)),
    "HPACK: literals": (2000, lambda n: _decoded([(b"n%d" % at, b"v") for at in range(n)])),
    "HPACK: entries added and used": (2000, lambda n: _decoded([], b"\x40\x01a\x01b\xbe" * n)),
    "HPACK: a string in Huffman's code": (
        50_000, lambda n: _decoded([], b"\x00\x01a\xff" + integer(n, 7)[1:] + b"\x1f" * n),
    ),
    "WebSocket: fragments of a byte": (2000, lambda n: _frames(n, 1)),
    "WebSocket: one long message": (2, lambda n: _frames(n, 200_000)),
    "a log line in JSON": (50_000, lambda n: lambda: quote_json(b"\xff\"\\\x00" * n, _HUGE)),
    "a log line": (50_000, lambda n: lambda: escape(b"\xff\"\\\x00" * n, _HUGE)),
}  # fmt: skip


def _calls(work: Work) -> int:
    """Calls of functions, also of those in C."""
    count = 0

    def note(_: FrameType, event: str, __: object) -> None:
        nonlocal count
        if event in ("call", "c_call"):
            count += 1

    work()
    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def _least_s(work: Work, times: int) -> float:
    """Of processor time."""
    found = []
    for _ in range(times):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


@pytest.mark.parametrize(
    ("size", "sized"),
    [
        pytest.param(
            *case, id=name,
            marks=pytest.mark.threat("G-071", sent=f"{name}: n and 4 n", verdict="twice the input, twice the work"),
        )
        for name, case in _CASES.items()
    ],
)  # fmt: skip
def test_work_grows_as_the_input_does(size: int, sized: Callable[[int], Work]) -> None:
    if not is_compiled():
        assert _calls(sized(2 * size)) <= _CALLS_RATIO * _calls(sized(size)) + 100
    small, large = sized(size), sized(4 * size)
    # What takes no time at all is no threat; and one quiet moment is enough.
    spare_s = 0.002
    for times in (2, 5, 20):
        took_s, limit_s = _least_s(large, times), _TIME_RATIO * _least_s(small, times) + spare_s
        if took_s <= limit_s:
            return
    assert took_s <= limit_s


def test_a_parser_that_is_not_linear_would_be_seen() -> None:
    def sized(count: int) -> Work:
        def work() -> bytes:
            held = b""
            for _ in range(count):
                held = b"".join((held, b"x" * 50))
            return held

        return work

    assert _least_s(sized(8000), 3) > _TIME_RATIO * _least_s(sized(2000), 3)
