"""One logical request, said in HTTP/1.1 and in HTTP/2: nothing above the wire may tell which it was (threat G-034)."""

from __future__ import annotations

import struct

from tests.fuzz.target import Target, Verdict
from torana.base.headers import is_token
from torana.wire.events import Fields, RequestHead, WireError
from torana.wire.http1.connection import Http1Connection
from torana.wire.http1.limits import Limits as HeadLimits
from torana.wire.http2.connection import Http2Connection
from torana.wire.http2.events import Opened, Refused
from torana.wire.http2.limits import Limits

_ALIKE = "method target raw_path query fields content_length expects_continue takes_trailers has_forwarding".split()
#: What the versions say in different ways, or only one of them says.
_OWN_NAMES = frozenset(
    b"connection keep-alive proxy-connection transfer-encoding upgrade te http2-settings host cookie".split()
)


def _request(data: bytes) -> tuple[bytes, bytes, Fields] | None:
    """Method, path and fields in lines; None for what cannot be written in both versions."""
    first, *lines = data.split(b"\n")[:20]
    method, _, path = first.partition(b" ")
    if not is_token(method) or method == b"CONNECT" or not path.startswith(b"/") or b" " in path:
        return None
    fields = []
    for line in lines:
        name, _, value = line.partition(b":")
        if is_token(name) and name.lower() not in _OWN_NAMES:
            fields.append((name, value.strip(b" \t")))
    return None if any(b"\r" in value for _, value in fields) or b"\r" in path else (method, path, fields)


def _in_http1(method: bytes, path: bytes, fields: Fields) -> RequestHead | WireError:
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in fields)
    connection = Http1Connection(HeadLimits())
    connection.receive(b"%s %s HTTP/1.1\r\nHost: t\r\n%s\r\n" % (method, path, lines))
    try:
        event = connection.next()
    except WireError as error:
        return error
    assert isinstance(event, RequestHead)
    return event


def _string(text: bytes) -> bytes:
    size, rest = len(text), b""
    if size < 127:
        return bytes([size]) + text
    size -= 127
    while size >= 128:
        rest += bytes([size & 127 | 128])
        size >>= 7
    return b"\x7f" + rest + bytes([size]) + text


def _in_http2(method: bytes, path: bytes, fields: Fields) -> RequestHead | Refused | WireError:
    control = [(b":method", method), (b":scheme", b"http"), (b":path", path), (b":authority", b"t")]
    named = [(name.lower(), value) for name, value in fields]
    block = b"".join(b"\x00" + _string(name) + _string(value) for name, value in [*control, *named])
    flags = 4 if any(name == b"content-length" and value != b"0" for name, value in named) else 5
    connection = Http2Connection(Limits(), 65536, 16384, 128, 8192, True)
    connection.begin()
    connection.receive(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]), 5.0)
    for start in range(0, len(block), 16384):
        part = block[start : start + 16384]
        is_last = start + 16384 >= len(block)
        head = struct.pack("!BBI", 9 if start else 1, (flags if not start else 4) & (5 if is_last else 1), 1)
        connection.receive(struct.pack("!I", len(part))[1:] + head + part, 5.0)
    try:
        event = connection.next()
    except WireError as error:
        return error
    assert isinstance(event, Opened | Refused), event
    return event.head if isinstance(event, Opened) else event


def _run(data: bytes) -> Verdict:
    request = _request(data)
    if request is None:
        return "no request"
    first, second = _in_http1(*request), _in_http2(*request)
    if isinstance(first, RequestHead) and isinstance(second, RequestHead):
        seen = [[getattr(head, name) for name in _ALIKE] for head in (first, second)]
        assert seen[0] == seen[1], f"HTTP/1.1 and HTTP/2 read different requests: {seen[0]} {seen[1]}"
        return seen[0]
    verdicts = [one if isinstance(one, RequestHead) else one.reason for one in (first, second)]
    assert not any(isinstance(one, RequestHead) for one in verdicts), (
        f"taken in one version only: {verdicts}, {request}"
    )
    return verdicts


REQUEST = Target(
    "versions",
    _run,
    (
        (b"GET /a/b?c=d&e", b"\naccept: */*", b"\nUser-Agent: x", b"\nx-forwarded-for: 192.0.2.1"),
        (b"POST /%00/..//", b"\ncontent-length: 5", b"\ncontent-type: text/plain", b"\nexpect: 100-continue"),
        (b"X-ODD /;a", b"\nx_y: 1", b"\nx.y: 1", b"\nproxy: http://t", b"\nempty:"),
        (b"PUT /\xc3\xa9", b"\ncontent-length: 0", b"\ncontent-length: 0", b"\nvalue: caf\xc3\xa9"),
        (b"GET /?", b"\ncontent-length: 007", b"\ntrailer: x-sum", b"\nexpect: more"),
        (b"DELETE /#", b"\nx: " + b"v" * 300, b"\ncontent-type: a", b"\ncontent-type: b"),
    ),
    (
        *(b"\n", b":", b" ", b"/", b"?", b"#", b"%2f", b"\x00", b"\x7f", b"\t", b"_", b".", b"content-length: ", b"5"),
        *(b"expect: 100-continue", b"content-type: ", b"x-forwarded-proto: https", b"proxy: 1", b"X_FORWARDED_FOR: 1"),
        *(b"HEAD ", b"OPTIONS ", b"get ", b"+5", b"-0", b"18446744073709551616", b"\xff", b","),
    ),
)
