"""G-025 to G-033: request line, target, Host, expectations, connection options, upgrades, pipelines."""

from __future__ import annotations

from tests.unit.wire.corpus.case import CANARY, Case, Request, accepted, get, post, refused


def _line(line: bytes) -> bytes:
    return line + b"\r\nHost: t\r\n\r\n"


REQUEST_LINES: list[Case] = [
    *(
        refused(f"G-025-{line!r}", _line(line), status)
        for line, status in (
            *((b"GET  / HTTP/1.1", 400), (b"GET\t/\tHTTP/1.1", 400), (b"GET / HTTP/1.1 ", 400), (b"GET /", 400)),
            *((b"GET", 400), (b" GET / HTTP/1.1", 400), (b"GET /  HTTP/1.1", 400), (b"GET / http/1.1", 400)),
            *((b"GET / HTTP/1.10", 505), (b"GET / HTTP/01.1", 505), (b"GET / HTTP/1", 505), (b"GET / HTTP/2.0", 505)),
            *((b"GET / HTTP/0.9", 505), (b"GET / HTTP/1.2", 505), (b"GET / HTTP/1.1x", 505), (b"GET / HTTP/", 505)),
            *((b"GET / HTTP", 400), (b"G@T / HTTP/1.1", 400), (b"get / HTTP/1.1", 400), (b"GeT / HTTP/1.1", 400)),
            *(
                (b"GET / HTTP/1.1\x00", 400),
                (b"GET / XTTP/1.1", 400),
                (b"GET / HTTP/1,1", 505),
                (b"GET /HTTP/1.1", 400),
            ),
            *((b"G" * 33 + b" / HTTP/1.1", 501), (b"G" * 5000 + b" / HTTP/1.1", 501), (b"\xc7ET / HTTP/1.1", 400)),
            *((b"PRI * HTTP/2.0", 505), (b"GET /x /y HTTP/1.1", 400), (b"GET / HTTP/1.1 HTTP/1.1", 400)),
        )
    ),
    refused("G-025-two-blanks", b"\r\n\r\n" + _line(b"GET / HTTP/1.1"), 400, "blank-lines"),
    refused("G-025-1000-blanks", b"\r\n" * 1000 + _line(b"GET / HTTP/1.1"), 400, "blank-lines"),
    accepted("G-025-one-blank", b"\r\n" + _line(b"GET / HTTP/1.1"), Request()),
    accepted(
        "G-025-blank-between",
        post(b"Content-Length: 2", body=b"hi") + b"\r\n" + get(b"Host: t"),
        Request("POST", b"/a", b"hi"),
        Request(),
    ),
    accepted("G-025-method-32", _line(b"G" * 32 + b" / HTTP/1.1"), Request("G" * 32)),
    accepted("G-025-method-odd", _line(b"M-SEARCH / HTTP/1.1"), Request("M-SEARCH")),
]
TARGETS: list[Case] = [
    *(
        refused(f"G-026-{target!r}", get(b"Host: t", target=target))
        for target in (
            *(b"*", b"t:80", b"foo", b"http:///", b"http://", b"/a b", b"/a#b", b"/\xff", b"/\x7f", b"/a\tb", b"#"),
            *(b"http://u@t/", b"http://t:99999/", b"ftp://t/", b"http:/t/"),
            *(
                b"?a",
                b"http://t,u/",
                b"http://t\\x/",
                b"https//t/",
                b"*a",
                b"http://[::1/",
                b"http://t%zz/",
                b"h\xe4://t/",
            ),
        )
    ),
    *(
        accepted(f"G-026-ok-{target!r}", get(b"Host: t", target=target), Request(path=path))
        for target, path in (
            *((b"//evil/", b"//evil/"), (b"/a\\b", b"/a\\b"), (b"/%0d%0aX:y", b"/%0d%0aX:y"), (b"/%00", b"/%00")),
            *(
                (b"/%zz", b"/%zz"),
                (b"/%c0%af", b"/%c0%af"),
                (b"/?a?b=c", b"/"),
                (b"/a?", b"/a"),
                (b"/..//./", b"/..//./"),
            ),
            *((b"http://t", b"/"), (b"http://t/", b"/"), (b"http://t?x", b"/")),
            *((b'/<>"{}|^`', b'/<>"{}|^`'), (b"http://t//x", b"//x")),
        )
    ),
    accepted(
        "G-026-ok-b'HTTPS://T/x?y'",
        get(b"Host: t", target=b"HTTPS://T/x?y"),
        Request(path=b"/x", fields=[(b"host", b"T")]),
    ),
    accepted("G-026-asterisk", _line(b"OPTIONS * HTTP/1.1"), Request("OPTIONS", b"*")),
    *(
        refused(f"G-026-1.0-{target!r}", get(target=target, version=b"1.0"), 400, "bad-target")
        for target in (b"http://u@t/", b"http://t:99999/", b"http://t,u/", b"http:///", b"https://[::1/")
    ),
    *(
        refused(f"G-026-method-{line!r}", _line(line), 400, "bad-method")
        for line in (b"options * HTTP/1.1", b"G@T http://t/ HTTP/1.1", b"get http://t/ HTTP/1.1")
    ),
    refused("G-026-asterisk-query", _line(b"OPTIONS *?a HTTP/1.1")),
    refused("G-026-connect-path", _line(b"CONNECT / HTTP/1.1"), 400),
    refused("G-026-connect-no-port", _line(b"CONNECT t HTTP/1.1"), 400),
    refused("G-026-connect-url", _line(b"CONNECT http://t:80/ HTTP/1.1"), 400),
    refused("G-026-connect", _line(b"CONNECT t:80 HTTP/1.1"), 501),
]
BAD_HOSTS = [
    *(
        b"a, b",
        b"",
        b"u@t",
        b"t/path",
        b"t?x",
        b"t#x",
        b"t\\x",
        b"t:99999",
        b"[::1",
        b"a b",
        b"t:80:80",
        b":80",
        b"t:x",
    ),
    *(b"[::1]x", b"[]", b"[::g]", b"t%", b"t%4", b"t%gg", b"\xe4.example", b"[1:2]", b"t:-1", b"t:+1", b"t:65536"),
    *(b"[v1.x]", b"[::1%25eth0]", b"t\x00", b"t:000080", b'"t"', b"t,", b"<t>", b"[::1]]", b"[[::1]", b"http://t"),
]
GOOD_HOSTS = [
    *(
        b"t",
        b"t:80",
        b"T.Example",
        b"t.",
        b"127.0.0.1:8000",
        b"[::1]",
        b"[::1]:8080",
        b"[2001:db8::1.2.3.4]",
        b"a_b",
        b"xn--e1a",
    ),
    *(b"t:", b"t:0", b"t:65535", b"%41.example", b"a!$&'()*+;=~-", b"[1:2:3:4:5:6:7:8]", b"[::]", b"[1::]", b"[::1]:"),
]
HOSTS: list[Case] = [
    refused("G-027-none", get(), 400, "missing-host"),
    refused("G-027-none-but-x", get(b"X: y"), 400, "missing-host"),
    refused("G-027-two-same", get(b"Host: t", b"Host: t"), 400, "repeated-host"),
    refused("G-027-two", get(b"Host: t", b"X: y", b"hOST: u"), 400, "repeated-host"),
    refused("G-027-two-on-1.0", get(b"Host: t", b"Host: t", version=b"1.0"), 400, "repeated-host"),
    *(refused(f"G-027-{value!r}", get(b"Host: " + value)) for value in BAD_HOSTS),
    *(refused(f"G-027-1.0-{value!r}", get(b"Host: " + value, version=b"1.0")) for value in BAD_HOSTS[:6]),
    *(
        accepted(f"G-027-ok-{value!r}", get(b"Host: " + value), Request(fields=[(b"host", value)]))
        for value in GOOD_HOSTS
    ),
    accepted("G-027-ok-upper", b"GET / HTTP/1.1\r\nHOST: T\r\n\r\n", Request(fields=[(b"host", b"T")])),
    refused("G-027-absolute-differs", get(b"Host: b", target=b"http://a/"), 400, "host-differs"),
    refused("G-027-absolute-port", get(b"Host: a", target=b"http://a:80/"), 400, "host-differs"),
    refused("G-027-absolute-without", get(b"X: y", target=b"http://a/"), 400, "missing-host"),
    accepted(
        "G-027-absolute-same",
        get(b"X: y", b"Host: a:80", target=b"http://A:80/z"),
        Request(path=b"/z", fields=[(b"x", b"y"), (b"host", b"A:80")]),
    ),
]
EXPECTATIONS: list[Case] = [
    refused("G-029-list", post(b"Expect: 100-Continue, x", b"Content-Length: 33"), 417),
    refused("G-029-two", post(b"Expect: 100-continue", b"Expect: 100-continue", b"Content-Length: 33"), 417),
    refused("G-029-unknown", post(b"Expect: 200-ok", b"Content-Length: 33"), 417),
    refused("G-029-empty", post(b"Expect:", b"Content-Length: 33"), 417),
    accepted(
        "G-029-canary-is-body",
        post(b"Expect: 100-continue", b"Content-Length: 33", body=CANARY),
        Request("POST", b"/a", CANARY),
    ),
    accepted("G-029-no-body", get(b"Host: t", b"Expect: 100-Continue"), Request()),
]
PIPELINES: list[Case] = [
    refused("G-031-valid-invalid", get(b"Host: t") + get(b"Bad Name: x") + get(b"Host: t"), served=(Request(),)),
    accepted("G-031-many", get(b"Host: t") * 20, *[Request()] * 20),
]
CONNECTION_OPTIONS: list[Case] = [
    *(
        refused(
            f"G-032-{value!r}", post(b"Connection: " + value, b"Content-Length: 0"), 400, "connection-lists-framing"
        )
        for value in (
            *(b"close, X-Forwarded-For, Host, Content-Length, Authorization, Cookie", b"Transfer-Encoding", b"HOST"),
            *(b"keep-alive,content-length", b",host", b"a,\thost\t,b"),
        )
    ),
    accepted(
        "G-032-keep-alive", get(b"Host: t", b"Keep-Alive: timeout=1e9", b"Proxy-Connection: keep-alive"), Request()
    ),
    accepted("G-032-te", get(b"Host: t", b"TE: trailers, chunked;q=1", b"Connection: TE"), Request()),
    refused("G-075-content-type-twice", post(b"Content-Type: a/b", b"Content-Type: a/b", b"Content-Length: 0")),
]
UPGRADES: list[Case] = [
    accepted(
        "G-033-h2c",
        get(b"Host: t", b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: AAMAAABk"),
        Request(),
    ),
    accepted(
        "G-033-websocket-body",
        post(b"Upgrade: websocket", b"Connection: Upgrade", b"Content-Length: 33", body=CANARY),
        Request("POST", b"/a", CANARY),
    ),
    refused("G-033-preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    refused("G-033-preface-later", get(b"Host: t") + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, served=(Request(),)),
]

CASES = [
    *REQUEST_LINES, *TARGETS, *HOSTS, *EXPECTATIONS, *PIPELINES, *CONNECTION_OPTIONS, *UPGRADES,
]  # fmt: skip
