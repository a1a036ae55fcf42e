"""HTTP/1: whole connections, and what comes behind the head of a chunked request. ``wire/http1``."""

from __future__ import annotations

from tests.fuzz.shapes.http1 import grow
from tests.fuzz.target import Seed, Target, Verdict, cuts
from tests.unit.wire.corpus import chunks, framing, lines, requests
from tests.unit.wire.corpus.case import CANARY
from tests.unit.wire.http1_driver import Outcome, drive
from torana.wire.http1.limits import Limits

#: Bounds that a small input can reach.
_TIGHT = Limits(
    request_line_bytes=100,
    method_bytes=8,
    field_bytes=80,
    head_bytes=300,
    field_count=6,
    trailer_bytes=100,
    chunk_line_bytes=24,
    chunk_extension_bytes=40,
    chunk_overhead_bytes=60,
)
_CHUNKED_HEAD = b"POST /a HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"


def _plain(outcome: Outcome) -> Verdict:
    seen = [
        (sorted(one.head.items()), bytes(one.body), one.trailers, one.is_whole)
        for one in outcome.requests
    ]  # fmt: skip
    return seen, outcome.error, repr(outcome.mark)


def _run(data: bytes) -> Verdict:
    if not data:
        return ()
    verdicts = []
    for limits in (Limits(), _TIGHT):
        whole = drive([data], limits)
        for pieces in cuts(data):
            assert drive(pieces, limits) == whole, "the cuts of the bytes changed what was read"
        verdicts.append(_plain(whole))
        drive([data], limits, eof=True)
    return verdicts


def _run_chunks(data: bytes) -> Verdict:
    return _run(_CHUNKED_HEAD + data)


def _run_trailers(data: bytes) -> Verdict:
    return _run(_CHUNKED_HEAD + b"0\r\n" + data)


def _lines(data: bytes) -> Seed:
    return tuple(data.splitlines(keepends=True))


_CASES = [*framing.CASES, *chunks.CASES, *lines.CASES, *requests.CASES]
_SHORT = [case.data for case in _CASES if len(case.data) < 2000]
_TOKENS = (
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"0\r\n\r\n", b": ", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b"Host: t\r\n"),
    *(b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n"),
    *(b"Expect: 100-continue\r\n", b"Connection: upgrade\r\nUpgrade: websocket\r\n", b"chunked", b", ", b";a=b"),
    *(b'"', b"18446744073709551616", b"9223372036854775807", b"ffffffffffffffff", b"%00", b"/../", b"http://t/"),
    *(b"CONNECT t:1 HTTP/1.1\r\n", b"OPTIONS * HTTP/1.1\r\n", b"X-Forwarded-For: 1\r\n", b"content_length: 1\r\n"),
)

MESSAGES = Target("http1", _run, tuple(_lines(data + CANARY) for data in _SHORT), _TOKENS, grow=grow)
CHUNKS = Target(
    "http1-chunks",
    _run_chunks,
    tuple(
        _lines(case.data.partition(b"\r\n\r\n")[2] + CANARY)
        for case in chunks.CASES
        if case.data.startswith(_CHUNKED_HEAD) and len(case.data) < 2000
    ),
    (*_TOKENS, b"5\r\nhello\r\n", b"7fffffffffffffff\r\n"),
)
TRAILERS = Target(
    "http1-trailers",
    _run_trailers,
    (
        (b"\r\n", CANARY),
        (b"X-Sum: abc\r\n", b"X-Other: \r\n", b"\r\n", CANARY),
        (b"Content-Length: 5\r\n", b"\r\n"),
        (b"x_y: 1\r\n", b"x.y: 1\r\n", b"proxy: 1\r\n", b"\r\n"),
        (b" folded: 1\r\n", b"\r\n"),
        (b"X-Long: " + b"v" * 200 + b"\r\n", b"\r\n"),
    ),
    _TOKENS,
)
