"""HTTP/1.1 requests (RFC 9112): bodies as long as was said, chunks that fit, trailers; then a little is damaged."""

from __future__ import annotations

import random
from collections.abc import Callable

Damage = Callable[[bytes], bytes]

_STARTS = (
    b"GET / HTTP/1.1\r\n",
    b"GET /a?b=c HTTP/1.1\r\n",
    b"POST /p HTTP/1.1\r\n",
    b"HEAD /%41 HTTP/1.1\r\n",
    b"PUT http://t/x?y HTTP/1.1\r\n",
    b"OPTIONS * HTTP/1.1\r\n",
    b"GET / HTTP/1.0\r\n",
    b"DELETE /~a!$&'()*+,;=:@ HTTP/1.1\r\n",
    b"PATCH /[]|^ HTTP/1.1\r\n",
    b"\r\nGET /late HTTP/1.1\r\n",
)
_FIELDS = (
    b"Accept: */*\r\n",
    b"X-A:b\r\n",
    b"x-a:  two  \r\n",
    b"Cookie: a=b; c=d\r\n",
    b"Cookie: e=f\r\n",
    b"X-Empty:\r\n",
    b"Connection: keep-alive\r\n",
    b"Connection: close\r\n",
    b"X-High: \xc3\xa9\xff\r\n",
    b"Content-Type: text/plain\r\n",
    b"Expect: 100-continue\r\n",
    b"TE: trailers\r\n",
    b"X-Forwarded-For: 192.0.2.1, 10.0.0.1\r\n",
    b"x_y: 1\r\n",
    b"Connection: upgrade\r\n",
    b"Upgrade: websocket\r\n",
    b"X!#$%&'*+-.^_`|~: 1\r\n",
    b"X-Tab: a\tb\r\n",
)
_EXTENSIONS = (b"", b"", b";a", b";a=b", b' ; a = "q\\"uo"', b";a=b;c")
_TRAILERS = (b"X-Sum: 1\r\n", b"X-Other:\r\n", b"ETag: x\r\n")


def request(chance: random.Random) -> list[bytes]:
    """A request in lines and pieces of its body."""
    parts = [chance.choice(_STARTS), b"Host: t\r\n"]
    parts += [chance.choice(_FIELDS) for _ in range(chance.choice((0, 1, 2, 4)))]
    data = chance.randbytes(chance.choice((1, 5, 17, 300))) if chance.random() < 0.3 else b"x" * chance.choice((1, 9))
    match chance.randrange(4):
        case 0 | 1:
            return [*parts, b"\r\n"]
        case 2:
            return [*parts, b"Content-Length: %d\r\n" % len(data), b"\r\n", data]
        case _:
            parts += [b"Transfer-Encoding: chunked\r\n", b"\r\n"]
    for _ in range(chance.choice((0, 1, 1, 3))):
        size = chance.choice((b"%x", b"%X", b"0%x")) % len(data)
        parts += [size + chance.choice(_EXTENSIONS) + b"\r\n", data + b"\r\n"]
    trailers = [chance.choice(_TRAILERS) for _ in range(chance.choice((0, 0, 1, 2)))]
    return [*parts, b"0\r\n", *trailers, b"\r\n"]


def grow(chance: random.Random, data: bytes, damage: Damage) -> bytes:
    """Lines of ``data`` moved about, or whole requests before, within or behind it."""
    parts = data.splitlines(keepends=True)
    for _ in range(chance.choice((1, 1, 2, 3))):
        at = chance.randrange(len(parts) + 1)
        match chance.randrange(7):
            case 0:
                parts = request(chance) + parts
            case 1:
                parts += request(chance)
            case 2:
                parts = request(chance)
            case 3:
                parts.insert(at, chance.choice(_FIELDS))
            case 4 if at < len(parts):
                del parts[at]
            case 5 if at < len(parts):
                parts.insert(at, parts[chance.randrange(len(parts))])
            case _ if at < len(parts):
                parts[at] = damage(parts[at])
    return b"".join(parts)
