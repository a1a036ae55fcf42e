"""The opening handshake of a WebSocket, behind the HTTP parser, and whose page asks. ``wire/websocket``, ``serve``."""

from __future__ import annotations

from tests.fuzz.target import Target, Verdict
from torana.serve.origins import Origins
from torana.wire.events import RequestHead, WireError
from torana.wire.http1.connection import Http1Connection
from torana.wire.http1.limits import Limits as HeadLimits
from torana.wire.websocket.handshake import answer, is_websocket, offered
from torana.wire.websocket.limits import Limits

_ORIGINS = (Origins(), Origins(("https://a.example:8443", "http://b.example/")), Origins(("*",)))


def _head(data: bytes) -> RequestHead | None:
    connection = Http1Connection(HeadLimits())
    if data:
        connection.receive(data)
    try:
        event = connection.next()
    except WireError:
        return None
    return event if isinstance(event, RequestHead) else None


def _judge(head: RequestHead) -> Verdict:
    try:
        offer = offered(head)
    except WireError as error:
        return error.status, error.reason, error.setting
    answers = []
    for is_crowded in (False, True):
        fields, deflate = answer(offer, offer.subprotocols[0] if offer.subprotocols else None, Limits(), is_crowded)
        assert len(fields) <= 3
        assert all(b"\r" not in value and b"\n" not in value for _, value in fields)
        answers.append((fields, repr(deflate)))
    return offer.key, offer.subprotocols, [repr(one) for one in offer.extensions], answers


def _run(data: bytes) -> Verdict:
    head = _head(data)
    if head is None:
        return "no request"
    upgrade = is_websocket(head.upgrade)
    origins = [origins.allows(head.fields, scheme) for origins in _ORIGINS for scheme in ("http", "https")]
    first = _judge(head) if upgrade else ()
    # The same fields as extended CONNECT (RFC 8441) brings them.
    head.version, head.method, head.content_length = "2", "CONNECT", -1
    return upgrade, origins, first, _judge(head)


_START = b"GET /chat HTTP/1.1\r\n"
_ALWAYS = (b"Host: a.example:8443\r\n", b"Connection: keep-alive, Upgrade\r\n", b"Upgrade: WebSocket\r\n")
_KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
_VERSION = b"Sec-WebSocket-Version: 13\r\n"
_DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate"

HEAD = Target(
    "handshake",
    _run,
    (
        (_START, *_ALWAYS, _KEY, _VERSION, b"Origin: https://a.example:8443\r\n", b"\r\n"),
        (_START, *_ALWAYS, _KEY, _VERSION, b"Sec-WebSocket-Protocol: chat, superchat\r\n", b"\r\n"),
        (_START, *_ALWAYS, _KEY, _VERSION, _DEFLATE + b"; client_max_window_bits, x-other\r\n", b"\r\n"),
        (
            *(_START, *_ALWAYS, _KEY, _VERSION),
            _DEFLATE + b'; server_max_window_bits="10"; client_no_context_takeover\r\n',
            _DEFLATE + b"; server_max_window_bits=8, permessage-deflate; client_max_window_bits=15\r\n",
            b"\r\n",
        ),
        (_START, *_ALWAYS, _KEY, b"Sec-WebSocket-Version: 8\r\n", b"Origin: null\r\n", b"\r\n"),
        (_START, *_ALWAYS, b"Sec-WebSocket-Key: c2hvcnQ=\r\n", _VERSION, b"\r\n"),
    ),
    (
        *(
            _KEY,
            _VERSION,
            b", ",
            b";",
            b"=",
            b'"',
            b"\\",
            b"permessage-deflate",
            b"server_max_window_bits=",
            b"8",
            b"16",
        ),
        *(b"client_max_window_bits", b"server_no_context_takeover", b"client_no_context_takeover", b"\r\n"),
        *(b"Origin: ", b"http://b.example", b"https://[::1]:1", b"://", b"Content-Length: 1\r\n", b"a," * 70),
    ),
)
