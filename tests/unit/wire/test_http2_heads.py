"""Which requests are well formed, and what becomes of those that are not (threats G-052 to G-054, G-056; H2-01..06)."""

from __future__ import annotations

import pytest

from tests.support.http2 import (
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    GET,
    HEADERS,
    POST,
    WEBSOCKET,
    Fields,
    Wire,
    block,
    data,
    frame,
    headers,
    names,
)
from torana.wire.http2.heads import parse_priority

PROTOCOL = 1


def without(fields: Fields, *gone: bytes) -> Fields:
    return [pair for pair in fields if pair[0] not in gone]


def replaced(name: bytes, value: bytes, fields: Fields = GET) -> Fields:
    return [(n, value if n == name else v) for n, v in fields]


def also(*pairs: tuple[bytes, bytes]) -> Fields:
    return [*GET, *pairs]


MALFORMED: dict[str, Fields] = {
    "no method": without(GET, b":method"),
    "no scheme": without(GET, b":scheme"),
    "no path": without(GET, b":path"),
    "nothing but regular fields": [(b"host", b"t")],
    "nothing at all": [],
    "no authority of any kind": without(GET, b":authority"),
    "two methods": [(b":method", b"GET"), *GET],
    "two paths": [(b":path", b"/"), *GET],
    "two schemes": [(b":scheme", b"http"), *GET],
    "two authorities": [(b":authority", b"t"), *GET],
    "unknown pseudo-field": [(b":colour", b"red"), *GET],
    "pseudo-field of a response": [(b":status", b"200"), *GET],
    "pseudo-field after a regular one": [GET[0], (b"a", b"b"), *GET[1:]],
    "authority after a regular one": [*without(GET, b":authority"), (b"a", b"b"), (b":authority", b"t")],
    "upper case name": also((b"Accept", b"*/*")),
    "upper case unknown name": also((b"X-a", b"b")),
    "connection": also((b"connection", b"close")),
    "keep-alive": also((b"keep-alive", b"timeout=5")),
    "proxy-connection": also((b"proxy-connection", b"keep-alive")),
    "upgrade": also((b"upgrade", b"h2c")),
    "transfer-encoding": also((b"transfer-encoding", b"chunked")),
    "te gzip": also((b"te", b"gzip")),
    "te with trailers among others": also((b"te", b"gzip, trailers")),
    "two te": also((b"te", b"trailers"), (b"te", b"trailers")),
    "name with a colon": also((b"a:b", b"c")),
    "name with a space": also((b"a b", b"c")),
    "name with CR": also((b"a\rb", b"c")),
    "name with LF": also((b"a\nb", b"c")),
    "name with NUL": also((b"a\0b", b"c")),
    "name with 8 bits": also((b"a\xe9", b"c")),
    "name that ends a line (G-054)": also((b"a: b\r\nx", b"c")),
    "value with CR": also((b"a", b"b\rc")),
    "value with LF": also((b"a", b"b\nc")),
    "value with NUL": also((b"a", b"b\0c")),
    "value with a request in it (G-054)": also((b"a", b"x\r\n\r\nGET /admin HTTP/1.1\r\nHost: t\r\n\r\n")),
    "value with a space before": also((b"a", b" b")),
    "value with a space behind": also((b"a", b"b ")),
    "value with a tab before": also((b"a", b"\tb")),
    "value with a tab behind": also((b"a", b"b\t")),
    "empty path": replaced(b":path", b""),
    "path without a slash": replaced(b":path", b"x"),
    "absolute path": replaced(b":path", b"http://e/x"),
    "path with a space": replaced(b":path", b"/a b"),
    "path with a fragment": replaced(b":path", b"/a#b"),
    "path with a control byte": replaced(b":path", b"/a\x01b"),
    "path with 8 bits": replaced(b":path", b"/\xe9"),
    "path with a line (G-054)": replaced(b":path", b"/ HTTP/1.1\r\nX: y"),
    "query with LF (G-054)": replaced(b":path", b"/?a\nb"),
    "asterisk with GET": replaced(b":path", b"*"),
    "scheme that is a URL": replaced(b":scheme", b"http://x/?"),
    "scheme gopher": replaced(b":scheme", b"gopher"),
    "empty scheme": replaced(b":scheme", b""),
    "method with a line": replaced(b":method", b"GET / HTTP/1.1\r\n"),
    "method with a space": replaced(b":method", b"GET /"),
    "empty method": replaced(b":method", b""),
    "method in small letters": replaced(b":method", b"get"),
    "authority with a user": replaced(b":authority", b"u@t"),
    "authority with a path": replaced(b":authority", b"t/x"),
    "authority of two": replaced(b":authority", b"t, u"),
    "empty authority": replaced(b":authority", b""),
    "authority with a bad port": replaced(b":authority", b"t:99999"),
    "host that differs": also((b"host", b"u")),
    "host alone, with a user": [*without(GET, b":authority"), (b"host", b"u@t")],
    "two hosts": also((b"host", b"t"), (b"host", b"t")),
    "two lengths": also((b"content-length", b"0"), (b"content-length", b"0")),
    "length with a sign": also((b"content-length", b"+5")),
    "empty length": also((b"content-length", b"")),
    "length with a comma": also((b"content-length", b"5, 5")),
    "length of 20 digits": also((b"content-length", b"9" * 20)),
    "length, and the end with the head": also((b"content-length", b"33")),
    "two content types": also((b"content-type", b"a/b"), (b"content-type", b"a/c")),
    "protocol with GET": [(b":protocol", b"websocket"), *GET],
    "websocket without a path": without(WEBSOCKET, b":path"),
    "websocket without a scheme": without(WEBSOCKET, b":scheme"),
    "websocket without an authority": without(WEBSOCKET, b":authority"),
    "websocket with a length": [*WEBSOCKET, (b"content-length", b"0")],
    "connect with a path": replaced(b":method", b"CONNECT"),
    "connect without a port": [(b":method", b"CONNECT"), (b":authority", b"t")],
}

#: Well formed, and refused with an answer.
REFUSED: dict[str, tuple[Fields, int]] = {
    "plain connect": ([(b":method", b"CONNECT"), (b":authority", b"t:443")], 501),
    "unknown protocol": (replaced(b":protocol", b"foo", WEBSOCKET), 501),
    "long method": (replaced(b":method", b"A" * 33), 501),
    "unknown expectation": (also((b"expect", b"a miracle")), 417),
    "a long field": (also((b"a", b"b" * 16384)), 431),
    "a long path": (replaced(b":path", b"/" * 16385), 431),
    "many fields": (also(*[(b"a", b"b")] * 125), 431),
    "many cookie crumbs (G-043)": (also(*[(b"cookie", b"a=b")] * 125), 431),
    "a long head": (also(*[(b"a", b"b" * 630)] * 100), 431),
}


def pieces_of(fields: Fields, stream: int = 1, is_end: bool = True) -> bytes:
    """The block in as many frames as it needs."""
    raw = block(fields)
    parts = [raw[i : i + 16384] for i in range(0, len(raw), 16384)] or [b""]
    out = b""
    for i, part in enumerate(parts):
        flags = (END_STREAM if is_end and i == 0 else 0) | (END_HEADERS if i == len(parts) - 1 else 0)
        out += frame(CONTINUATION if i else HEADERS, flags, stream, part)
    return out


@pytest.mark.parametrize("case", MALFORMED, ids=str)
def test_a_malformed_request_is_reset_alone(case: str) -> None:
    raw = headers(1, MALFORMED[case])
    for pieces in ([raw], [raw[i : i + 1] for i in range(len(raw))]):
        wire = Wire()
        assert names(wire.send(*pieces)) == ["Refused 1"]
        assert wire.error is None
        wire.read()
        assert wire.client.resets == {1: PROTOCOL}
        assert wire.server.running == 0
        # The next one on the same connection is served (H2-01), and what still comes of this one is dropped.
        assert names(wire.send(headers(3) + data(1, b"late", True))) == ["Opened 3"]
        assert wire.server.running == 1


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_what_cannot_be_met_is_answered(case: str) -> None:
    fields, status = REFUSED[case]
    wire = Wire()
    (event,) = wire.send(pieces_of(fields))
    assert (names([event]), event.status) == (["Refused 1"], status)
    wire.read()
    assert wire.client.heads[1] == [{b":status": b"%d" % status, b"content-length": b"0"}]
    assert wire.client.ended == {1}
    assert wire.client.resets == {}
    assert names(wire.send(headers(3))) == ["Opened 3"]


def test_an_answered_refusal_cuts_off_the_body() -> None:
    wire = Wire()
    wire.send(pieces_of(REFUSED["many fields"][0], is_end=False))
    wire.read()
    assert wire.client.heads[1][0][b":status"] == b"431"
    assert wire.client.resets == {1: 0}


def test_extended_connect_needs_our_word() -> None:
    wire = Wire(has_connect_protocol=False)
    assert names(wire.send(headers(1, WEBSOCKET, is_end=False))) == ["Refused 1"]
    wire.read()
    assert wire.client.resets == {1: PROTOCOL}


def test_a_websocket_is_a_request_to_upgrade() -> None:
    wire = Wire()
    (event,) = wire.send(headers(1, WEBSOCKET, is_end=False))
    head = event.head
    assert (head.method, head.upgrade, head.target, head.content_length) == ("CONNECT", b"websocket", b"/chat", -1)
    assert head.fields == [(b"host", b"t"), (b"sec-websocket-version", b"13")]


def test_a_head_says_what_the_fields_say() -> None:
    wire = Wire()
    fields = [
        *replaced(b":path", b"/a%20b?c=d&e", POST),
        (b"cookie", b"a=1"),
        (b"accept", b"*/*"),
        (b"cookie", b"b=2"),
        (b"te", b"trailers"),
        (b"content-length", b"5"),
        (b"expect", b"100-Continue"),
        (b"host", b"T"),
        (b"x_y", b"dropped"),
        (b"proxy", b"http://evil"),
        (b"x-forwarded-for", b"1.2.3.4"),
        (b"cookie", b"c=3"),
    ]
    (event,) = wire.send(headers(1, fields, is_end=False))
    head = event.head
    assert head.method == "POST"
    assert head.version == "2"
    assert (head.target, head.raw_path, head.query) == (b"/a%20b?c=d&e", b"/a%20b", b"c=d&e")
    assert head.fields == [
        (b"host", b"t"),
        (b"cookie", b"a=1; b=2; c=3"),
        (b"accept", b"*/*"),
        (b"te", b"trailers"),
        (b"content-length", b"5"),
        (b"expect", b"100-Continue"),
        (b"x-forwarded-for", b"1.2.3.4"),
    ]
    assert (head.content_length, head.expects_continue, head.takes_trailers) == (5, True, True)
    assert head.has_forwarding
    assert head.keep_alive
    assert head.upgrade is None
    assert wire.server.dropped == 2


@pytest.mark.parametrize(
    ("fields", "host"),
    [
        (without(GET, b":authority") + [(b"accept", b"*/*"), (b"host", b"a.example:8080")], b"a.example:8080"),
        (replaced(b":authority", b"[::1]:80"), b"[::1]:80"),
        (also((b"host", b"T")), b"t"),
    ],
)
def test_the_host_is_one_and_first(fields: Fields, host: bytes) -> None:
    wire = Wire()
    (event,) = wire.send(headers(1, fields))
    assert event.head.fields[0] == (b"host", host)
    assert [name for name, _ in event.head.fields].count(b"host") == 1


def test_options_may_ask_for_all() -> None:
    wire = Wire()
    (event,) = wire.send(headers(1, replaced(b":path", b"*", replaced(b":method", b"OPTIONS"))))
    assert event.head.raw_path == b"*"


def test_the_same_block_again_means_the_same_and_shares_nothing() -> None:
    wire = Wire()
    raw = also((b"priority", b"u=1"), (b"cookie", b"a"), (b"cookie", b"b"))
    first, second, third = (wire.send(headers(number, raw))[0] for number in (1, 3, 5))
    assert first.head.fields == second.head.fields == third.head.fields
    second.head.fields.append((b"a", b"b"))
    assert len(wire.send(headers(7, raw))[0].head.fields) == len(third.head.fields)
    assert [event.stream.urgency for event in (first, second, third)] == [1, 1, 1]
    (posted,) = wire.send(headers(9, raw, is_end=False))
    assert posted.head.content_length == -1


#: Fields besides, bodies of the DATA frames, whether END_STREAM comes with the last; what is wrong, if anything.
LENGTHS = [
    ([b"5"], [b"abcde"], ""),
    ([b"5"], [b"ab", b"cde"], ""),
    ([b"5"], [b"ab", b"", b"cde", b""], ""),
    ([b"5"], [b"abc"], "short-body"),
    ([b"5"], [b"abcdefgh"], "long-body"),
    ([b"5"], [b"abcde", b"f"], "long-body"),
    ([b"0"], [b"a"], "long-body"),
    ([b"0"], [b""], ""),
    ([b"5"], [b""], "short-body"),
    ([], [b"abc", b"d"], ""),
]


@pytest.mark.parametrize(("length", "bodies", "fault"), LENGTHS)
@pytest.mark.parametrize("padding", [None, 0, 7])
def test_the_length_is_held_against_the_data(
    length: list[bytes], bodies: list[bytes], fault: str, padding: int | None
) -> None:
    wire = Wire()
    fields = [*POST, *((b"content-length", value) for value in length)]
    raw = headers(1, fields, is_end=False)
    for i, part in enumerate(bodies):
        raw += data(1, part, i == len(bodies) - 1, padding)
    for pieces in ([raw], [raw[i : i + 1] for i in range(len(raw))]):
        wire = Wire()
        events = wire.send(*pieces)
        resets = [event.reason for event in events if names([event]) == ["Reset 1"]]
        ends = [event for event in events if names([event]) == ["Ended 1"]]
        assert resets == ([fault] if fault else [])
        assert len(ends) == (0 if fault or length == [b"0"] else 1)
        wire.read()
        assert wire.client.resets == ({1: PROTOCOL} if fault else {})


@pytest.mark.parametrize(("size", "fault"), [(5, ""), (3, "short-body")])
def test_the_length_is_held_against_the_data_before_trailers(size: int, fault: str) -> None:
    wire = Wire()
    raw = headers(1, [*POST, (b"content-length", b"5")], is_end=False) + data(1, b"a" * size)
    events = wire.send(raw + headers(1, [(b"x-sum", b"1")]))
    assert names(events[2:]) == ["Reset 1" if fault else "Ended 1"]
    if not fault:
        assert events[2].trailers == [(b"x-sum", b"1")]


@pytest.mark.parametrize(
    ("trailers", "reason"),
    [
        ([(b"Upper", b"1")], "bad-trailer"),
        ([(b"a", b"b\n")], "bad-value"),
        ([(b"te", b"trailers")], "forbidden-trailer"),
        ([(b"x-forwarded-for", b"1")], "forbidden-trailer"),
        ([(b"a", b"b" * 10_000)], "long-head"),
    ],
)
def test_trailers_are_judged(trailers: Fields, reason: str) -> None:
    wire = Wire()
    events = wire.send(headers(1, POST, is_end=False), data(1, b"x"), headers(1, trailers))
    assert names(events) == ["Opened 1", "Body 1", "Reset 1"]
    assert events[2].reason == reason


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", (3, False)),
        (b"u=0", (0, False)),
        (b"u=7, i", (7, True)),
        (b"i, u=2", (2, True)),
        (b"i=?0,u=1", (1, False)),
        (b"u=8", (3, False)),
        (b"u=-1", (3, False)),
        (b"u=10", (3, False)),
        (b"nonsense;x=y", (3, False)),
    ],
)
def test_a_priority_is_read_or_left(value: bytes, expected: tuple[int, bool]) -> None:
    assert parse_priority(value) == expected
