"""HTTP/1 responses: what an application or another server sends back. ``wire/http1/client``."""

from __future__ import annotations

from tests.fuzz.target import Seed, Target, Verdict, cuts
from tests.unit.wire.http1_responses import BAD, GOOD, drive, response
from torana.wire.http1.client import OWN_LIMITS
from torana.wire.http1.limits import Limits

#: Bounds that a small input can reach.
_TIGHT = Limits(
    request_line_bytes=60,
    field_bytes=80,
    head_bytes=300,
    field_count=6,
    trailer_bytes=100,
    chunk_line_bytes=24,
    chunk_extension_bytes=40,
    chunk_overhead_bytes=60,
)


def _run(data: bytes) -> Verdict:
    verdicts = []
    for limits, is_head in ((OWN_LIMITS, False), (_TIGHT, False), (OWN_LIMITS, True)):
        whole = drive([data] if data else [], is_head=is_head, limits=limits)
        for pieces in cuts(data):
            assert drive(pieces, is_head=is_head, limits=limits) == whole, "the cuts of the bytes changed what was read"
        drive([data] if data else [], is_head=is_head, limits=limits, eof=True)
        verdicts.append(
            (whole.interim, whole.head, bytes(whole.body), whole.trailers, whole.error, repr(whole.mark),
             whole.is_reusable, whole.rest)
        )  # fmt: skip
    return verdicts


def _lines(data: bytes) -> Seed:
    return tuple(data.splitlines(keepends=True))


_BAD = [data for group in BAD.values() for data in group if len(data) < 1000]
_UPGRADE = response(b"Connection: upgrade", b"Upgrade: websocket", status=b"HTTP/1.1 101 Switching", body=b"\x81\x00")

RESPONSES = Target(
    "http1-responses",
    _run,
    tuple(_lines(data) for data in (*GOOD.values(), *_BAD, _UPGRADE, response(b"X: y", body=b"until the end"))),
    (
        b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"0\r\n\r\n", b": ", b"HTTP/1.1 ", b"HTTP/1.0 200 OK\r\n",
        b"HTTP/1.1 101 S\r\n",
        b"HTTP/1.1 100 C\r\n\r\n", b"HTTP/1.1 204 N\r\n", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n",
        b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"Connection: x, content-length\r\n",
        b"5\r\nhello\r\n",
        b"chunked", b", ", b";a=b", b"18446744073709551616", b"7fffffffffffffff\r\n",
    ),
)  # fmt: skip
