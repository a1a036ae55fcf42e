"""Messages made without bytes: the same as aiohttp's own parser makes of what would be written, or none at all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.wire.corpus.chunks import CASES as CHUNKS
from tests.unit.wire.corpus.framing import CASES as FRAMING
from tests.unit.wire.corpus.lines import CASES as LINES
from tests.unit.wire.corpus.requests import CASES as REQUESTS
from torana.wire.events import RequestHead, WireError
from torana.wire.http1.client import request_head
from torana.wire.http1.connection import Http1Connection
from torana.wire.http1.limits import Limits

pytest.importorskip("aiohttp")

from aiohttp import hdrs, http
from aiohttp.base_protocol import BaseProtocol
from multidict import istr

from torana.gateway.aiohttp.message import LONGEST_LINE, MOST_FIELDS, Memory, plain_message

PARTS = ("method", "path", "version", "raw_headers", "should_close", "compression", "upgrade", "chunked", "url")
LIMITS = Limits(request_line_bytes=1 << 20, field_bytes=1 << 20, head_bytes=1 << 22, field_count=1000)


@pytest.fixture(scope="module", autouse=True)
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    LOOPS.append(loop)
    yield loop
    LOOPS.remove(loop)
    loop.close()


LOOPS: list[asyncio.AbstractEventLoop] = []


def head_of(data: bytes) -> RequestHead | None:
    """What our parser reads."""
    connection = Http1Connection(LIMITS)
    connection.receive(data)
    try:
        event = connection.next()
    except WireError:
        return None
    return event if type(event) is RequestHead else None


def theirs_of(head: RequestHead) -> Any:
    """What aiohttp's parser makes of the request as it would be written; an exception if it refuses it."""
    try:
        data = request_head(head.method, head.target, head.fields, 0)
    except WireError as error:
        return error
    (loop,) = LOOPS
    parser = http.HttpRequestParser(
        BaseProtocol(loop), loop, 2**16, max_line_size=LONGEST_LINE, max_field_size=LONGEST_LINE
    )
    try:
        ((message, payload),), is_upgraded, rest = parser.feed_data(data)
    except http.HttpProcessingError as error:
        return error
    assert payload.is_eof() and not is_upgraded and rest == b""
    return message


MESSAGE: Any = http.RawRequestMessage


def compare(head: RequestHead, memory: Memory | None = None) -> Any:
    """What is made here, after a look at what is made there."""
    ours = plain_message(head, (), MESSAGE, Memory() if memory is None else memory)
    if ours is None:
        return None
    theirs = theirs_of(head)
    assert type(theirs) is type(ours), theirs
    for name in PARTS:
        their, our = getattr(theirs, name), getattr(ours, name)
        assert (type(our), our) == (type(their), their), name
    assert type(ours.headers) is type(theirs.headers)
    assert [(type(name), name, value) for name, value in ours.headers.items()] == [
        (type(name), name, value) for name, value in theirs.headers.items()
    ]
    assert (ours.url.path, ours.url.raw_path, ours.url.query_string, str(ours.url)) == (
        theirs.url.path, theirs.url.raw_path, theirs.url.query_string, str(theirs.url)
    )  # fmt: skip
    return ours


def get(*lines: bytes, line: bytes = b"GET / HTTP/1.1", host: bytes = b"Host: t:80") -> bytes:
    return b"\r\n".join((line, host, *lines, b"", b""))


PLAIN = [
    get(),
    get(b"User-Agent: a b", b"Accept: */*", b"Accept-Encoding: br", b"Cookie: a=b; c=d", b"Referer: http://t/?x#y"),
    get(b"accept: 1", b"ACCEPT-LANGUAGE: 2", b"X-Made-Up: 3", b"a.b_c: 4", b"!#$%&'*+-.^`|~0: 5"),
    get(b"X-Text: gr\xc3\xb6\xc3\x9fe", b"X-Latin: gr\xf6\xdfe", b"X-Rest: \xff\xfe\x80", b"X-Empty:", b"X-Tab: \ta\t"),
    *(get(line=b"%s / HTTP/1.1" % method) for method in (b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS")),
    *(
        get(line=b"GET %s HTTP/1.1" % target)
        for target in (
            *(b"/?", b"/a?b=c&d", b"/a%2Fb%20c?q=%C3%A4+x", b"//a/b", b"//t:80/b?c", b"/a//b", b"/./a/../b/", b"/?a?b"),
            *(b"/:a@b!$&'()*+,;=~", b"/http://t/", b"/%", b"/%zz?%zz", b"/%00", b"/;b=c", b"/?/../", b"/[]{}|\\^`\"<>"),
            *(b"/" + b"x" * 7000, b"/?" + b"x" * 7000, b"/a:b", b"/%C3%A4"),
        )
    ),
    *(get(b"Connection: " + option) for option in (b"keep-alive", b"close", b"Keep-Alive", b"Close")),
    get(b"Connection: close", b"Keep-Alive: 5", b"Proxy-Connection: x"),
    get(b"Content-Length: 0"),
    get(b"Content-Length: 0", line=b"POST / HTTP/1.1"),
    get(b"Upgrade: h2c", b"HTTP2-Settings: x"),
    get(b"X-Long: " + b"x" * 8000),
    get(*(b"X-%d: %d" % (i, i) for i in range(MOST_FIELDS - 1))),
    get(line=b"GET / HTTP/1.0"),
    get(b"Server: s", b"ETag: e", b"Content-Type: text/plain", b"Content-Location: /", b"Max-Forwards: 1"),
]  # fmt: skip

BY_BYTES = [
    get(b"X-Twice: 1", b"X-Twice: 2"),
    get(b"User-Agent: 1", b"user-agent: 2"),
    get(b"Cookie: a", b"Cookie: b"),
    get(b"TE: trailers"),
    get(b"Connection: te", b"TE: trailers"),
    get(b"Connection: x-named", b"X-Named: 1"),
    get(b"Connection: close, x-named", b"X-Named: 1"),
    get(b"Connection: close", b"Close: 1"),
    get(b"Connection:"),
    get(b"Connection: keep-alive, Upgrade", b"Upgrade: h2c"),
    get(b"Content-Encoding: gzip"),
    get(b"Expect: 100-continue"),
    get(b"Sec-WebSocket-Key1: x"),
    *(get(line=b"%s / HTTP/1.1" % method) for method in (b"TRACE", b"QUERY", b"PROPFIND", b"M-SEARCH", b"BREW")),
    get(line=b"OPTIONS * HTTP/1.1"),
    get(line=b"GET http://t:80/a?b HTTP/1.1"),
    get(line=b"GET / HTTP/1.0", host=b"X: 1"),
    get(line=b"GET /" + b"x" * LONGEST_LINE + b" HTTP/1.1"),
    get(b"X-Long: " + b"x" * LONGEST_LINE),
    get(b"x" * 100 + b": 1"),
    get(*(b"X-%d: %d" % (i, i) for i in range(MOST_FIELDS))),
]  # fmt: skip


@pytest.mark.parametrize("data", PLAIN, ids=lambda data: repr(data[:60]))
def test_plain_head_is_what_their_parser_makes_of_it(data: bytes) -> None:
    head = head_of(data)
    assert head is not None and compare(head) is not None


@pytest.mark.parametrize("data", BY_BYTES, ids=lambda data: repr(data[:60]))
def test_what_is_not_plain_is_left_to_their_parser(data: bytes) -> None:
    head = head_of(data)
    assert head is not None and compare(head) is None


@pytest.mark.parametrize(
    ("fields", "target"),
    [
        ([(b"host", b"t"), (b"x", b"a\r\nb")], b"/"),
        ([(b"host", b"t"), (b"x", b"a\0")], b"/"),
        ([(b"host", b"t"), (b"x:y", b"a")], b"/"),
        ([(b"host", b"t"), (b"x y", b"a")], b"/"),
        ([(b"host", b"t"), (b"", b"a")], b"/"),
        ([(b"host", b"t"), (b"X-Upper", b"a")], b"/"),
        ([(b"host", b"t"), (b"host", b"t")], b"/"),
        ([(b"host", b"t")], b"/a b"),
        ([(b"host", b"t")], b"/a#b"),
        ([(b"host", b"t")], b"/\xff"),
        ([(b"host", b"t")], b"/\r\n"),
        ([(b"host", b"t")], b""),
    ],
)
def test_head_that_no_parser_let_through_is_none(fields: list[tuple[bytes, bytes]], target: bytes) -> None:
    head = RequestHead()
    head.fields, head.target = fields, target
    assert plain_message(head, (), MESSAGE, Memory()) is None


def test_every_byte_of_a_target_and_of_a_value() -> None:
    plain = 0
    for byte in range(256):
        for data in (get(line=b"GET /a%cb HTTP/1.1" % byte), get(b"X-Byte: a%cb" % byte), get(b"x%cy: 1" % byte)):
            head = head_of(data)
            plain += head is not None and compare(head) is not None
    assert plain > 256


@pytest.mark.parametrize("case", [*CHUNKS, *FRAMING, *LINES, *REQUESTS], ids=lambda case: case.id)
def test_corpus(case: Any) -> None:
    head = head_of(case.data)
    if head is not None and head.content_length == 0 and head.upgrade is None:
        compare(head)


KNOWN = sorted({str(name) for name in vars(hdrs).values() if isinstance(name, istr)})
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
NAMES = st.one_of(
    st.sampled_from([*KNOWN, "content-length", "connection", "upgrade", "te", "expect", "keep-alive", "close"]),
    st.text("abcXYZ019-_.!~", min_size=1, max_size=70),
)
VALUES = st.binary(max_size=40).map(lambda value: bytes(byte for byte in value if byte >= 32 and byte != 127))
TARGETS = st.text("".join(map(chr, range(0x21, 0x7F))).replace("#", ""), max_size=40)


@given(st.sampled_from(METHODS), TARGETS, st.lists(st.tuples(NAMES, VALUES), max_size=8))
@settings(max_examples=400, deadline=None)
def test_any_head(method: str, target: str, fields: list[tuple[str, bytes]]) -> None:
    lines = [name.encode() + b": " + value for name, value in fields]
    head = head_of(get(*lines, line=b"%s /%s HTTP/1.1" % (method.encode(), target.encode())))
    if head is not None and head.content_length == 0 and head.upgrade is None:
        memory = Memory()
        first = compare(head, memory)
        again = compare(head, memory)
        assert (first is None) == (again is None)


def test_repeated_fields_are_made_once() -> None:
    memory = Memory()
    heads = [head_of(get(b"Accept: " + value, line=line)) for value, line in (
        (b"a", b"GET /1 HTTP/1.1"), (b"a", b"GET /2 HTTP/1.1"), (b"b", b"GET /2 HTTP/1.1"), (b"b", b"PUT /2 HTTP/1.1"),
        (b"b", b"POST /2 HTTP/1.1"), (b"b", b"GET /2 HTTP/1.1"),
    )]  # fmt: skip
    made = [compare(head, memory) for head in heads if head is not None]
    assert made[0].headers is made[1].headers and made[0].path != made[1].path
    assert made[2].headers is not made[1].headers and made[2].headers["accept"] == "b"
    assert made[3].headers["content-length"] == "0" and made[3].headers is made[4].headers
    assert "content-length" not in made[5].headers
    head = heads[5]
    assert head is not None
    # The memory is no view of a list that somebody else has.
    head.fields.append((b"x", b"1"))
    assert compare(head, memory).headers["x"] == "1"


def test_what_is_not_plain_is_not_remembered() -> None:
    memory = Memory()
    for data in (get(b"Accept: a"), get(b"Accept: a", b"Accept: b"), get(b"Accept: a", b"Accept: b")):
        head = head_of(data)
        assert head is not None
        made = plain_message(head, (), MESSAGE, memory)
        assert (made is None) == (len(head.fields) > 2)


def test_memories_are_bounded() -> None:
    memory = Memory()
    large = head_of(get(*(b"X-%d: %s" % (i, b"x" * 500) for i in range(8))))
    assert large is not None and compare(large, memory) is not None and memory.fields is None
    for i in range(522):
        head = head_of(get(b"X-Name-%d: 1" % i, line=b"GET /%d HTTP/1.1" % i))
        assert head is not None and compare(head) is not None


def test_mount_points_are_cut_off() -> None:
    head = head_of(get(line=b"GET /outer/inner/x?y HTTP/1.1"))
    assert head is not None
    for prefixes, path in (
        ((b"/outer",), "/inner/x?y"),
        ((b"/outer", b"/inner"), "/x?y"),
        ((b"/out",), "/outer/inner/x?y"),
    ):
        made = plain_message(head, prefixes, MESSAGE, Memory())
        assert (made.path, str(made.url)) == (path, path)
