"""Drives a response reader over given pieces, in a form that cuts cannot change; and responses, good and bad."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from torana.wire.events import CLOSED, NEED_DATA, PAUSED, EndOfBody, WireError
from torana.wire.http1.client import OWN_LIMITS, Interim, ResponseHead, ResponseReader
from torana.wire.http1.limits import Limits


@dataclass
class Outcome:
    """What came out."""

    interim: list[tuple[int, list[tuple[bytes, bytes]]]] = field(default_factory=list)
    head: tuple[int, bytes, list[tuple[bytes, bytes]], int] | None = None
    body: bytearray = field(default_factory=bytearray)
    trailers: list[tuple[bytes, bytes]] | None = None
    error: str | None = None
    mark: object = None
    is_reusable: bool = False
    #: Behind a 101.
    rest: bytes = b""


def drive(pieces: Iterable[bytes], *, is_head: bool = False, eof: bool = False, limits: Limits = OWN_LIMITS) -> Outcome:
    """Feed ``pieces`` to a reader that awaits one response."""
    reader = ResponseReader(limits)
    reader.begin(is_head)
    outcome = Outcome()
    for piece in pieces:
        reader.receive(piece)
        _pump(reader, outcome)
    if eof:
        reader.receive_eof()
        _pump(reader, outcome)
    outcome.is_reusable = reader.is_reusable()
    outcome.rest = reader.rest() if outcome.head is not None and outcome.head[0] == 101 else b""
    return outcome


def _pump(reader: ResponseReader, outcome: Outcome) -> None:
    while True:
        try:
            event: Any = reader.next()
        except WireError as error:
            assert error.status == 502
            assert outcome.error is None, "a second error"
            outcome.error = error.reason
            continue
        if event is NEED_DATA or event is PAUSED or event is CLOSED:
            outcome.mark = event
            return
        if isinstance(event, Interim):
            assert outcome.head is None
            outcome.interim.append((event.status, event.fields))
        elif isinstance(event, ResponseHead):
            assert outcome.head is None, "a second head"
            outcome.head = (event.status, event.reason, event.fields, event.length)
        elif isinstance(event, EndOfBody):
            assert outcome.trailers is None, "a second end"
            outcome.trailers = event.trailers
        else:
            assert type(event) is bytes and event, "an empty piece"
            assert outcome.head is not None and outcome.trailers is None
            outcome.body += event


def response(*lines: bytes, body: bytes = b"", status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """A response of these field lines."""
    return b"\r\n".join([status, *lines, b"", body])


CHUNKED = b"Transfer-Encoding: chunked"

#: name -> bytes of one whole response that is kept alive behind it.
GOOD = {
    "length": response(b"Content-Type: text/plain", b"Content-Length: 5", body=b"hello"),
    "nothing": response(b"Content-Length: 0"),
    "no reason": response(b"Content-Length: 0", status=b"HTTP/1.1 200 "),
    "no space": response(b"Content-Length: 0", status=b"HTTP/1.1 200"),
    "long reason": response(b"Content-Length: 0", status=b"HTTP/1.1 299 All sorts \xe9 of words"),
    "chunks": response(CHUNKED, body=b"5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\n\r\n"),
    "trailers": response(b"Trailer: X-Sum", CHUNKED, body=b"1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n"),
    "no content": response(b"X-A: b", status=b"HTTP/1.1 204 No Content"),
    "not modified": response(b"Content-Length: 1000", b"ETag: a", status=b"HTTP/1.1 304 Not Modified"),
    "interim": response(status=b"HTTP/1.1 100 Continue")
    + response(b"Link: </a>", b"Link: </b>", status=b"HTTP/1.1 103 Early Hints")
    + response(b"Content-Length: 2", body=b"ok"),
    "blanks": response(b"X-A: \t a b \t", b"X-B:", b"Content-Length:2", body=b"ok"),
    "odd names": response(b"x_y.z: 1", b"SET-Cookie: a", b"set-cookie: b", b"Content-Length: 0"),
    "named": response(b"Connection: X-Private, keep-alive", b"X-Private: 1", b"Keep-Alive: 5", b"Content-Length: 0"),
    "old": response(b"Connection: keep-alive", b"Content-Length: 2", body=b"ok", status=b"HTTP/1.0 200 OK"),
}

#: reason -> bytes that are refused for it, whatever follows.
BAD = {
    "bad-status-line": [
        b"HTTP/2 200 OK\r\n", b"HTTP/1.2 200 OK\r\n", b"HTTP/1.1  200 OK\r\n", b"HTTP/1.1 20 OK\r\n", b"\r\n",
        b"HTTP/1.1 099 OK\r\n", b"HTTP/1.1 2000 OK\r\n", b"HTTP/1.1 +20 OK\r\n", b"http/1.1 200 OK\r\n", b"SSH-2.0\r\n",
        b"HTTP/1.1\t200 OK\r\n",
    ],
    "bad-line": [b"HTTP/1.1 200 OK\n\n", b"HTTP/1.1 200 O\0K\r\n", response(b"X-A: a\rb"), response(b"X-A: a\nX-B: c")],
    "bad-name": [response(b"X A: b"), response(b": b"), response(b"no colon"), response(b"X-A: b", b" folded")],
    "repeated-content-length": [response(b"Content-Length: 5", b"Content-Length: 5", body=b"hello")],
    "bad-content-length": [
        response(b"Content-Length: " + value)
        for value in (b"-1", b"+1", b"5, 5", b"0x5", b"1_0", b"", b"5 5", b"99999999999999999999")
    ],
    "repeated-transfer-encoding": [response(CHUNKED, CHUNKED)],
    "bad-transfer-encoding": [
        response(b"Transfer-Encoding: " + value)
        for value in (b"gzip", b"gzip, chunked", b"identity", b"chunked, x", b"")
    ],
    "length-and-coding": [response(CHUNKED, b"Content-Length: 5"), response(b"Content-Length: 5", CHUNKED)],
    "transfer-encoding-1.0": [response(CHUNKED, status=b"HTTP/1.0 200 OK")],
    "connection-lists-framing": [response(b"Connection: close, content-length", b"Content-Length: 5")],
    "interim-with-body": [response(b"Content-Length: 5", status=b"HTTP/1.1 103 Early Hints")],
    "many-interim": [response(status=b"HTTP/1.1 102 Processing") * 65],
    "bad-chunk-size": [response(CHUNKED, body=b"x\r\n"), response(CHUNKED, body=b"-1\r\n")],
    "bad-chunk-end": [response(CHUNKED, body=b"1\r\nab\r\n")],
    "forbidden-trailer": [response(CHUNKED, body=b"0\r\nContent-Length: 5\r\n\r\n")],
}  # fmt: skip
