"""G-019 to G-024: line ends, white space, control bytes and the shape of fields."""

from __future__ import annotations

from tests.unit.wire.corpus.case import CANARY, Case, Request, accepted, get, post, refused

FOLDS: list[Case] = [
    refused(f"G-019-{number}", data)
    for number, data in enumerate(
        (
            post(b"Transfer-Encoding:\r\n chunked", b"Content-Length: 38", body=b"0\r\n\r\n"),
            post(b"X: a\r\n\tb"),
            post(b"X: a\r\n "),
            b"GET / HTTP/1.1\r\n Host: t\r\n\r\n",
            b"GET / HTTP/1.1\r\n\tHost: t\r\n\r\n",
            get(b"Host: t\r\n evil"),
            get(b"Host:\r\n t"),
            get(b"Host: t", b" "),
        )
    )
]
_VALID = b"GET / HTTP/1.1\r\nX: a\r\nHost: t\r\n\r\n"
_ENDS = [at for at in range(len(_VALID)) if _VALID[at : at + 2] == b"\r\n"]
BARE_LF: list[Case] = [
    refused("G-020-all", b"GET / HTTP/1.1\nHost: t\n\n"),
    refused("G-020-smuggle", b"GET / HTTP/1.1\r\nX: a\nContent-Length: 33\r\nHost: t\r\n\r\n"),
    refused("G-020-sp", b"GET /\nHTTP/1.1\r\nHost: t\r\n\r\n"),
    refused("G-020-end-1", b"GET / HTTP/1.1\r\nHost: t\r\n\n"),
    refused("G-020-end-2", b"GET / HTTP/1.1\r\nHost: t\n\r\n"),
    refused("G-020-first", b"\nGET / HTTP/1.1\r\nHost: t\r\n\r\n"),
    *(
        refused(f"G-020-{at}-{end!r}", _VALID[:at] + end + _VALID[at + 2 :])
        for at in _ENDS
        for end in (b"\n", b"\n\r", b"\x00", b"\r\r\n", b"\r", b"\r\n\n")
        # G-021 has the first of these: its CR is the last byte we see. The LF of the second one comes too late.
        if at != _ENDS[-1] or end not in (b"\r", b"\r\n\n")
    ),
    refused("G-020-after-end", _VALID + b"\n", served=(Request(),)),
]
BARE_CR: list[Case] = [
    refused(f"G-021-{number}", data)
    for number, data in enumerate(
        (
            get(b"Host: t", b"X: a\rContent-Length: 33"),
            get(b"Host: t", b"Visible: :/\rSmuggled: x"),
            b"GET / HTTP/1.1\r\nHost: t\r\n\rZGET /evil: HTTP/1.1\r\n\r\n",
            _VALID.replace(b"\r\n", b"\r"),
            _VALID[:-1] + b"G",
        )
    )
] + [refused(f"G-021-at-{at}", _VALID[:at] + b"\r" + _VALID[at:]) for at in range(len(_VALID))]
#: Bytes that one library or another takes for white space or a line end.
ODD_SPACES: list[Case] = [
    *(
        refused(f"G-023-{space!r}-{at}", get(b"Host: t", b"X: " + value))
        for space in (b"\x0b", b"\x0c", b"\x1c", b"\x1d", b"\x1e")
        for at, value in enumerate((space + b"ab", b"a" + space + b"b", b"ab" + space))
    ),
    refused("G-023-protocol", get(b"Host: t", b"Sec-WebSocket-Protocol: a\x0bX-Forwarded-For: 1.2.3.4")),
    *(
        accepted(
            f"G-023-ok-{value!r}", get(b"Host: t", b"X: " + value), Request(fields=[(b"host", b"t"), (b"x", value)])
        )
        for space in (b"\x85", b"\xa0", b"\xe2\x80\xa8", b"\xff")
        for value in (space + b"ab", b"a" + space + b"b", b"ab" + space, space)
    ),
    accepted(
        "G-023-ok-htab",
        get(b"Host: \t t \t", b"X:a\tb", b"Empty:", b"Blank: \t "),
        Request(fields=[(b"host", b"t"), (b"x", b"a\tb"), (b"empty", b""), (b"blank", b"")]),
    ),
]
STRUCTURE: list[Case] = [
    *(
        refused(f"G-024-{line!r}", get(b"Host: t", line))
        for line in (
            b": x",
            b":",
            b"NoColon",
            b"A B: c",
            b"A(: c",
            b"\xc4: c",
            b"A\t: c",
            b'"A": c',
            b"A/: c",
            b"A@b: c",
        )
    ),
    # An empty line first, then what looks like fields: the empty line ended the head, which lacks its Host.
    refused("G-024-empty-first", b"GET / HTTP/1.1\r\n\r\nHost: t\r\n\r\n", 400, "missing-host"),
    refused("G-024-flood", get(b"Host: t", *[b"x:"] * 70_000), 431, "many-fields"),
    accepted(
        "G-024-ok-tchar",
        get(b"Host: t", b"!#$%&'*+-^`|~09aZ: c"),
        Request(fields=[(b"host", b"t"), (b"!#$%&'*+-^`|~09az", b"c")]),
    ),
]

CASES = [*FOLDS, *BARE_LF, *BARE_CR, *ODD_SPACES, *STRUCTURE]
assert all(CANARY not in case.data for case in CASES)
