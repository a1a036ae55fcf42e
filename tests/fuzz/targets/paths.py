"""Paths and fields as applications of both interfaces are told of them. ``gateway``."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from tests.fuzz.target import Target, Verdict
from torana.base.endpoints import Endpoints
from torana.exchange.request import Request
from torana.gateway.asgi.describe import Describer as AsgiDescriber
from torana.gateway.asgi.describe import path_of
from torana.gateway.wsgi.describe import Describer as WsgiDescriber
from torana.wire.events import RequestHead, WireError
from torana.wire.http1.connection import Http1Connection
from torana.wire.http1.limits import Limits

_ROOTS = ("", "/app", "/a%20b/é")


def _environ(head: RequestHead, root: str) -> dict[str, Any] | None:
    channel: Any = None
    request = Request(head, Endpoints(None, ("t", 80), "http"), channel, 0, 65536)
    describer = WsgiDescriber(lambda ends: {"SCRIPT_NAME": "", "QUERY_STRING": ""}, root)
    try:
        return describer.environ(request, 0)
    except WireError:
        return None


def _run(data: bytes) -> Verdict:
    """A request's head without its request line's version, fields in lines."""
    first, *lines = data.split(b"\n")[:30]
    connection = Http1Connection(Limits())
    fields = b"".join(line.strip(b"\r") + b"\r\n" for line in lines if line.strip(b"\r"))
    connection.receive(b"GET " + first + b" HTTP/1.1\r\nHost: t\r\n" + fields + b"\r\n")
    try:
        head = connection.next()
    except WireError:
        return "refused"
    if not isinstance(head, RequestHead):
        return "unfinished"
    plain = path_of(head.raw_path, "")
    assert plain == unquote(head.raw_path.decode("ascii"), "utf-8", "replace"), "decoded otherwise than by urllib"
    verdicts: list[Verdict] = []
    for root in _ROOTS:
        path = path_of(head.raw_path, root)
        assert path == "*" or (path.startswith(root) and path.endswith(plain.removeprefix(root) if root else plain))
        environ = _environ(head, root)
        if environ is not None:
            assert all(
                type(value) is str and (key.isupper() or "." in key or not key.isascii())
                for key, value in environ.items()
            )
            environ["PATH_INFO"].encode("latin-1")
            keys = [key for key in environ if key.startswith("HTTP_")]
            assert "HTTP_PROXY" not in keys and "HTTP_TRANSFER_ENCODING" not in keys
            if not root:
                # Both interfaces tell of the same bytes.
                assert environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace") == path
        verdicts.append((path, environ))
    channel: Any = None
    request = Request(head, Endpoints(("192.0.2.1", 1), ("t", 80), "http"), channel, 0, 65536)
    scope = AsgiDescriber("", None, False).http_scope(request)
    assert scope["raw_path"] == head.raw_path and scope["query_string"] == head.query
    assert len(scope["headers"]) == len(head.fields)
    return verdicts, scope["path"], scope["method"]


PATHS = Target(
    "paths",
    _run,
    (
        (b"/a%20b?c=%20",),
        (b"/app/x%2Fy", b"\nX-A: 1", b"\nx-a: 2", b"\nCookie: a=b", b"\nCookie: c=d"),
        (b"/%c3%a9/%ff/%", b"\nContent-Type: text/plain", b"\nContent-Length: 0"),
        (b"/%E2%82", b"%AC%00%2e%2e/..;a", b"\nTransfer-Encoding: chunked", b"\nProxy: x"),
        (b"http://t/%41?%zz", b"\nX-Long-Name-That-Is-Learnt: v"),
        (b"/a%20b/%C3%A9/c", b"\nx.y: 1", b"\nX!#$%&'*+^`|~: 1"),
    ),
    (
        b"%",
        b"%2f",
        b"%00",
        b"%ff",
        b"%C3%A9",
        b"%c",
        b"//",
        b"/..",
        b"?",
        b"\n",
        b": ",
        b"Cookie: ",
        b"Content-Type: a",
        b"_",
    ),
)
