"""Requests that are malformed, that cannot be met, and bodies that are not as long as was said (G-043, G-052 to G-056).

Field lists, so that tests can send them as they like; ``CASES`` has them as frames on stream 3.
"""

from __future__ import annotations

from tests.support.http2 import (
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    GET,
    HEADERS,
    POST,
    WEBSOCKET,
    Fields,
    block,
    data,
    frame,
    headers,
)
from tests.unit.wire.corpus.http2_case import PROTOCOL, Case, to


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


#: Declared length, DATA frames, the last with END_STREAM, what is wrong with it, if anything.
LENGTHS: list[tuple[bytes | None, list[bytes], str]] = [
    (b"5", [b"abcde"], ""),
    (b"5", [b"ab", b"cde"], ""),
    (b"5", [b"ab", b"", b"cde", b""], ""),
    (b"5", [b"abc"], "short-body"),
    (b"5", [b"abcdefgh"], "long-body"),
    (b"5", [b"abcde", b"f"], "long-body"),
    (b"0", [b"a"], "long-body"),
    (b"0", [b""], ""),
    (b"5", [b""], "short-body"),
    (None, [b"abc", b"d"], ""),
]


def with_length(length: bytes | None, bodies: list[bytes], padding: int | None = None, stream: int = 3) -> bytes:
    """One of ``LENGTHS`` as frames."""
    fields = to(b"/body", POST) if length is None else [*to(b"/body", POST), (b"content-length", length)]
    last = len(bodies) - 1
    return headers(stream, fields, is_end=False) + b"".join(
        data(stream, part, at == last, padding) for at, part in enumerate(bodies)
    )


def _threat(name: str) -> str:
    for number in ("G-043", "G-054"):
        if number in name:
            return number
    if "websocket" in name or "connect" in name or "protocol" in name:
        return "G-056" if "connection" not in name else "G-052"
    return "G-053" if "length" in name else "G-052"


def _plain(name: str) -> str:
    return name.partition(" (G-")[0]


def _bodies(length: bytes | None, bodies: list[bytes], padding: int | None) -> Case:
    name = f"content-length {'none' if length is None else length.decode()}, data of {[len(part) for part in bodies]}"
    raw, fault = (
        with_length(length, bodies, padding),
        next(fault for *rest, fault in LENGTHS if rest == [length, bodies]),
    )
    if padding is not None:
        name += f", padded by {padding}"
    return Case("G-053", name, raw, reset=PROTOCOL) if fault else Case("G-053", name, raw, status=200)


CASES = [
    *(Case(_threat(name), _plain(name), pieces_of(fields, 3), reset=PROTOCOL) for name, fields in MALFORMED.items()),
    *(
        Case(_threat(name), _plain(name), pieces_of(fields, 3), status=status)
        for name, (fields, status) in REFUSED.items()
    ),
    *(_bodies(length, bodies, padding) for length, bodies, _ in LENGTHS for padding in (None, 7)),
    Case(
        "G-053", "content-length 5, data of 3, and trailers",
        with_length(b"5", [b"abc", b""])[:-9] + headers(3, [(b"a", b"b")]),
        reset=PROTOCOL,
    ),
    Case(
        "G-054", "values with blanks, with nothing and with high bytes",
        headers(3, also((b"a", b"b c\td"), (b"b", b""), (b"c", b"\xe9"))), status=200,
    ),
    Case("G-052", "te: trailers", headers(3, also((b"te", b"trailers"))), status=200),
    Case("G-052", "OPTIONS *", headers(3, replaced(b":path", b"*", replaced(b":method", b"OPTIONS"))), status=200),
]  # fmt: skip
