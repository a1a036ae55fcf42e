"""G-011 to G-018: the chunked coding and its trailers."""

from __future__ import annotations

from tests.unit.wire.corpus.case import CANARY, Case, Request, accepted, chunked, refused

_HELLO = Request("POST", b"/a", b"hello")


def _refused(id: str, body: bytes, status: int = 400, reason: str | None = None) -> Case:
    """A chunked body that is refused after its head came out."""
    return refused(id, chunked(body), status, reason, after=1)


SIZE_SYNTAX: list[Case] = [
    *(
        _refused(f"G-011-{size!r}", size + b"\r\nhello\r\n0\r\n\r\n")
        for size in (
            *(b"+5", b"-5", b"-0x0", b"0x5", b"0_5", b"5_", b" 5", b"\t5", b"5 ", b"5\t", b"5\x00", b"5.", b"g", b""),
            *(b";ext", "\uff15".encode(), b"00000000000000005", b"5\xa0", b"5\x85", b"5,", b"5=", b'"5"', b"\xb2"),
        )
    ),
    *(
        accepted(f"G-011-ok-{size!r}", chunked(size + b"\r\nhello\r\n0\r\n\r\n"), _HELLO)
        for size in (b"5", b"05", b"0000000000000005")
    ),
    *(
        accepted(
            f"G-011-ok-{size!r}", chunked(size + b"\r\n0123456789\r\n00\r\n\r\n"), Request("POST", b"/a", b"0123456789")
        )
        for size in (b"A", b"a", b"0A")
    ),
    *(
        _refused(f"G-012-{size[:18]!r}-{len(size)}", size + b"\r\nhello\r\n0\r\n\r\n")
        for size in (
            *(
                b"FFFFFFFFFFFFFFFF",
                b"8000000000000000",
                b"10000000000000005",
                b"FFFFFFFFFFFFFFFFF",
                b"10000000000000000",
            ),
            b"0" * 100_000 + b"5",
        )
    ),
]
TERMINATORS: list[Case] = [
    _refused(f"G-013-{number}", body)
    for number, body in enumerate(
        (
            *(b"5\nhello\r\n0\r\n\r\n", b"5;a\nhello\r\n0\r\n\r\n", b"5\rhello\r\n0\r\n\r\n", b"0\n\r\n", b"0\r\n\n"),
            b"5\r\r;ABCD\r\n29\r\nE\r\n0\r\n\r\n" + CANARY + b"\r\n0\r\n\r\n",
            *(b"5\r\nhello\n0\r\n\r\n", b"5\r\nhello\r0\r\n\r\n", b"0\r\n\r\r\n", b"0\r\n\rX", b"0\r\r\n\r\n"),
        )
    )
]
EXTENSIONS: list[Case] = [
    *(
        accepted(f"G-014-ok-{ext!r}", chunked(b"5" + ext + b"\r\nhello\r\n0" + ext + b"\r\n\r\n"), _HELLO)
        for ext in (b";a", b";a=b", b';a="x\\"y"', b" ;a=b", b";a = b", b";a=b;c=d", b'; a="b;c"', b';a=""', b"\t;\ta")
    ),
    *(
        _refused(f"G-014-{ext!r}", b"5" + ext + b"\r\nhello\r\n0\r\n\r\n")
        for ext in (
            *(b";", b";;", b";a=", b";=b", b";\x00", b";\x01", b";\x80", b";a=\x80", b';a="x\r\ny"', b';a="x\ny"'),
            *(b';a="x', b";a=b c", b";a b", b';"a"=b', b';a="x"y', b";a=b;", b"a=b", b" a=b", b';a="\x7f"', b";a=b "),
        )
    ),
    _refused("G-014-long", b"5;a=" + b"b" * 300 + b"\r\nhello\r\n0\r\n\r\n", reason="long-chunk-line"),
    _refused("G-014-huge", b"5;a=" + b"b" * 100_000 + b"\r\nhello\r\n0\r\n\r\n", reason="long-chunk-line"),
    _refused("G-014-many", (b"100;" + b"e" * 200 + b"\r\n" + b"x" * 256 + b"\r\n") * 100, reason="chunk-extensions"),
]
DATA_ENDS: list[Case] = [
    _refused(f"G-015-{number}", body)
    for number, body in enumerate(
        (
            *(b"5\r\nhello!!\r\n0\r\n\r\n", b"5\r\nhelloXX0\r\n\r\n", b"5\r\nhello0\r\n\r\n", b"0\r\nX" + CANARY),
            *(b"0\r\nX:\x00" + CANARY, b"0\r\nX:" + CANARY, b"5\r\nhello\r\r\n0\r\n\r\n", b"5\r\nhell\r\n0\r\n\r\n"),
        )
    )
]
FLOODS: list[Case] = [
    _refused("G-017-tiny-chunks", b"1\r\nx\r\n" * 4000, reason="chunk-overhead"),
    _refused("G-017-zeros", b"0000000000000001\r\nx\r\n" * 1000, reason="chunk-overhead"),
    accepted(
        "G-017-some-tiny-chunks",
        chunked(b"1\r\nx\r\n" * 300 + b"0\r\n\r\n"),
        Request("POST", b"/a", b"x" * 300),
    ),
    accepted(
        "G-017-fair-chunks",
        chunked((b"64\r\n" + b"y" * 100 + b"\r\n") * 300 + b"0\r\n\r\n"),
        Request("POST", b"/a", b"y" * 30_000),
    ),
]
TRAILERS: list[Case] = [
    *(
        _refused(f"G-018-{line[:30]!r}", b"5\r\nhello\r\n0\r\n" + line + b"\r\n\r\n")
        for line in (
            *(b"Content-Length: 33", b"Transfer-Encoding: chunked", b"Host: evil", b"Authorization: x", b"Cookie: a=b"),
            *(b"X-Forwarded-For: 1.2.3.4", b"Content-Type: text/html", b"content-encoding: gzip", b"Forwarded: for=x"),
            *(b"X-T: 1\r\n folded", b" X-T: 1", b"X-T: 1\nY: 2", b"X-T : 1", b"bad trailer", b": x", b"X-T: a\x00b"),
            *(b"X-T: a\rb", b"X_T: 1", b"Connection: close", b"Trailer: x", b"TE: trailers", b"Set-Cookie: a=b"),
            *(b"Sec-WebSocket-Key: x", b"X-Real-IP: 1.2.3.4", b"Expect: 100-continue", b"\xc4: x"),
        )
    ),
    _refused("G-018-many", b"0\r\n" + b"a: b\r\n" * 200 + b"\r\n", 431, "many-trailers"),
    _refused("G-018-10000", b"0\r\n" + b"a: b\r\n" * 10_000 + b"\r\n", 431, "many-trailers"),
    _refused("G-018-large", b"0\r\n" + (b"a: " + b"b" * 1000 + b"\r\n") * 10 + b"\r\n", 431, "long-trailers"),
    _refused("G-018-long", b"0\r\na: " + b"b" * 20_000 + b"\r\n\r\n", 431, "long-trailers"),
    accepted(
        "G-018-ok",
        chunked(b"5\r\nhello\r\n0\r\nX-Checksum: \t abc \r\nServer-Timing:\r\nX-Checksum: d\r\n\r\n"),
        Request(
            "POST",
            b"/a",
            b"hello",
            trailers=[(b"x-checksum", b"abc"), (b"server-timing", b""), (b"x-checksum", b"d")],
        ),
    ),
]

CASES = [*SIZE_SYNTAX, *TERMINATORS, *EXTENSIONS, *DATA_ENDS, *FLOODS, *TRAILERS]
