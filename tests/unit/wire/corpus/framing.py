"""G-001 to G-010, G-028: where a body ends."""

from __future__ import annotations

from itertools import permutations

from tests.unit.wire.corpus.case import CANARY, Case, Request, accepted, get, post, refused

_CL38 = b"Content-Length: 38"
_TE = b"Transfer-Encoding: chunked"
_KEEP = b"Connection: keep-alive"

CL_TE: list[Case] = [
    refused(f"G-001-cl-te-{number}", post(*lines, body=b"0\r\n\r\n"), reason="length-and-coding")
    for number, lines in enumerate([*permutations([_CL38, _TE]), *permutations([_CL38, _TE, _KEEP])])
]
TE_CL: list[Case] = [
    refused("G-002-te-cl", post(b"Content-Length: 4", _TE, body=b"21\r\n" + CANARY + b"\r\n0\r\n\r\n")),
]
_LENGTHS = [b"0", b"33", b""]
REPEATED_LENGTH: list[Case] = [
    *(
        refused(f"G-003-{one!r}-{two!r}", post(b"Content-Length: " + one, b"Content-Length: " + two))
        for one, two in permutations(_LENGTHS, 2)
    ),
    refused("G-004-same-twice", post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello")),
    *(
        refused(f"G-004-{value!r}", post(b"Content-Length: " + value, body=b"hello"))
        for value in (b"5, 5", b"5,5,6", b"5,", b",5")
    ),
]

#: Not 1*DIGIT, though ``int()`` or ``strtol`` would take many of them. Shared with the number readers' own test.
BAD_NUMBERS = [
    *(b"+5", b"-5", b"-0", b"0x5", b"5_0", b"1 0", b"5\x0b", "\u0665".encode(), b"5;a", b"5.0", b"5e0", b"1Z", b""),
    *(b'"5"', b"5\x00", b"5\xa0", b"\xa05", b"5\x85", b"0b1", b"0o7", b"1e2", b"\xef\xbc\x95", b"\xb2", b"5L"),
]
LENGTH_SYNTAX: list[Case] = [
    *(refused(f"G-005-{value!r}", post(b"Content-Length: " + value, body=b"hello")) for value in BAD_NUMBERS),
    *(
        accepted(
            f"G-005-ok-{value!r}", post(b"Content-Length:" + value, body=b"hello"), Request("POST", b"/a", b"hello")
        )
        for value in (b"5", b" 5", b"005", b" \t5 \t ", b"0000000000000000000000005")
    ),
    *(
        refused(f"G-006-{value[:20]!r}-{len(value)}", post(b"Content-Length: " + value))
        for value in (
            *(b"9223372036854775808", b"18446744073709551616", b"18446744073709551621", b"99999999999999999999"),
            *(b"9" * 4300, b"00009223372036854775808"),
        )
    ),
    refused("G-006-zeros", post(b"Content-Length: 1" + b"0" * 100_000), 431, "long-field"),
]

_CODINGS: dict[bytes, int] = {
    b"xchunked": 400, b"chunked1": 400, b"chunked;a=b": 400, b'"chunked"': 400, b"chunked,": 400, b",chunked": 400,
    b"chunked, identity": 501, b"identity, chunked": 501, b"identity": 501, b"gzip, chunked": 501, b"gzip": 501,
    b"deflate,chunked": 501, b"br": 501, b"zstd, chunked": 501, b"chunked, chunked": 400, b"": 400, b"\x0bchunked": 400,
    b"\x0cchunked": 400, b"chunked\x00": 400, b"\xa0chunked\xa0": 400, b"\x85chunked": 400, b"\xffchunked\xff": 400,
    b"chunked gzip": 400, b"gzip, xyz": 400, b"gzip,, chunked": 400,
}  # fmt: skip
CODING_VALUES: list[Case] = [
    *(
        refused(f"G-007-{value!r}", post(b"Transfer-Encoding: " + value, body=b"1\r\nZ\r\n0\r\n\r\n"), status)
        for value, status in _CODINGS.items()
    ),
    *(
        refused(f"G-007-cl-{value!r}", post(b"Transfer-Encoding: " + value, b"Content-Length: 5", body=b"hello"))
        for value in [*_CODINGS, b"chunKed"]
    ),
    *(
        accepted(
            f"G-007-ok-{value!r}",
            post(b"Transfer-Encoding:" + value, body=b"1\r\nZ\r\n0\r\n\r\n"),
            Request("POST", b"/a", b"Z"),
        )
        for value in (b"chunked", b" chunKed", b"\tCHUNKED \t")
    ),
]
NAME_NEAR_MISSES: list[Case] = [
    refused(f"G-008-{line!r}", post(line, body=b"0\r\n\r\n"))
    for line in (
        *(b"Transfer-Encoding : chunked", b"Transfer-Encoding\t: chunked", b" Transfer-Encoding: chunked"),
        *(b"\tContent-Length: 1", b"Content-Length\x85: 33", b"Transfer\x00-Encoding: chunked"),
        *(b"Transfer-\r\nEncoding: chunked", b"Content-Length 33", b"Content-Length\xa0: 33", b'"Host": x'),
    )
] + [
    refused("G-008-first", b"POST /a HTTP/1.1\r\n Transfer-Encoding: chunked\r\nHost: t\r\n\r\n"),
    # Underscored names are dropped, whatever they look like (G-075): there is no body here.
    accepted(
        "G-008-underscore",
        post(b"Transfer_Encoding: chunked", b"Content_Length: 5", b"X.Y: 1", b"Proxy: http://evil", b"A: b"),
        Request("POST", b"/a", fields=[(b"host", b"t"), (b"a", b"b")]),
    ),
]
REPEATED_CODING: list[Case] = [
    refused(
        f"G-009-{one!r}-{two!r}", post(b"Transfer-Encoding: " + one, b"Transfer-Encoding: " + two, body=b"0\r\n\r\n")
    )
    for one, two in [(b"chunked", b"chunked"), *permutations([b"chunked", b"identity", b"xyz"], 2)]
]
OLD_VERSION: list[Case] = [
    refused(f"G-010-{number}", b"POST /a HTTP/1.0\r\nHost: t\r\n" + lines + b"\r\n0\r\n\r\n")
    for number, lines in enumerate(
        (
            b"Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n",
            b"Connection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            b"Transfer-Encoding: identity\r\n",
        )
    )
]
#: Framing is by fields only, for every method: what looks like a request behind them is their body.
FAT_REQUESTS: list[Case] = [
    *(
        accepted(
            f"G-028-{method.decode()}",
            method + b" /a HTTP/1.1\r\nHost: t\r\nContent-Length: 33\r\n\r\n" + CANARY,
            Request(method.decode(), b"/a", CANARY),
        )
        for method in (b"GET", b"HEAD", b"OPTIONS", b"DELETE", b"TRACE", b"PUT", b"BREW")
    ),
    accepted("G-028-zero", post(b"Content-Length: 0") + get(b"Host: t"), Request("POST", b"/a"), Request()),
    refused("G-028-connect", b"CONNECT t:80 HTTP/1.1\r\nHost: t\r\nContent-Length: 33\r\n\r\n", 501),
]

CASES = [
    *CL_TE, *TE_CL, *REPEATED_LENGTH, *LENGTH_SYNTAX, *CODING_VALUES, *NAME_NEAR_MISSES, *REPEATED_CODING, *OLD_VERSION,
    *FAT_REQUESTS,
]  # fmt: skip
