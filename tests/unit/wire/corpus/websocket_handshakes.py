"""Opening handshakes: refused, passed over, of other origins, and with offers of compression (threats G-057, G-058).

As whole HTTP/1.1 requests. Never here: what the wire alone makes of their fields (``test_websocket_handshake``).
"""

from __future__ import annotations

import base64

from tests.support.talking import KEY, handshake
from torana.wire.websocket.extensions import DeflateOffer

GOOD = handshake()


def changed(old: bytes, new: bytes) -> bytes:
    """The good handshake, something in it replaced."""
    assert old in GOOD
    return GOOD.replace(old, new)


def _protocols(value: bytes) -> bytes:
    return handshake(b"Sec-WebSocket-Protocol: " + value)


#: What is sent, and the status.
REFUSED: dict[str, tuple[bytes, int]] = {
    "no key": (changed(b"Sec-WebSocket-Key: " + KEY + b"\r\n", b""), 400),
    "two keys": (handshake(b"Sec-WebSocket-Key: " + KEY), 400),
    "a short key": (changed(KEY, b"AAAA"), 400),
    "a key of 15 bytes": (changed(KEY, base64.b64encode(bytes(15)) + b"===="), 400),
    "a key with high bytes": (changed(KEY, b"\xff" * 24), 400),
    "version 12": (handshake(version=b"12"), 426),
    "version 8": (handshake(version=b"8"), 426),
    "version 013": (handshake(version=b"013"), 426),
    "no version": (changed(b"Sec-WebSocket-Version: 13\r\n", b""), 426),
    "two versions": (handshake(b"Sec-WebSocket-Version: 13"), 400),
    "POST": (changed(b"GET", b"POST"), 400),
    "a body": (changed(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\nhello"), 400),
    "a chunked body": (changed(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400),
    "a subprotocol with high bytes": (_protocols(b"caf\xe9"), 400),
    "a subprotocol with a blank": (_protocols(b"a b"), 400),
    "a subprotocol of all bytes from 0x80": (_protocols(bytes(range(0x80, 0x100))), 400),
    "a subprotocol that ends the line": (_protocols(b"a\rb"), 400),
    "7,000 subprotocols": (_protocols(b",".join([b"x"] * 7000)), 400),
    "10,000 subprotocols": (_protocols(b",".join([b"x"] * 10_000)), 431),
    "a subprotocol of 1 MiB": (_protocols(b"x" * (1 << 20)), 431),
    "no host": (changed(b"Host: t\r\n", b""), 400),
}

#: Requests like all others: HTTP/1.0 knows no upgrade, and Connection has to list it.
ORDINARY: dict[str, bytes] = {
    "HTTP/1.0": changed(b"HTTP/1.1", b"HTTP/1.0"),
    "not in Connection": changed(b"Connection: Upgrade", b"Connection: keep-alive"),
    "h2c": changed(b"Upgrade: websocket", b"Upgrade: h2c"),
}

#: Fields besides, for host ``t``; status.
ORIGINS: dict[str, tuple[tuple[bytes, ...], int]] = {
    "none": ((), 101),
    "the same": ((b"Origin: http://t",), 101),
    "the same, with its usual port": ((b"Origin: http://t:80",), 101),
    "another": ((b"Origin: https://evil",), 403),
    "another scheme": ((b"Origin: ftp://t",), 403),
    "null": ((b"Origin: null",), 403),
    "empty": ((b"Origin:",), 403),
    "one that begins the same": ((b"Origin: http://t.evil",), 403),
    "one that ends the same": ((b"Origin: http://evil.t",), 403),
    "another port": ((b"Origin: http://t:81",), 403),
    "a user before it": ((b"Origin: http://t@evil",), 403),
    "a path behind it": ((b"Origin: http://t/evil",), 403),
    "a list": ((b"Origin: http://t http://evil",), 403),
    "two": ((b"Origin: http://t", b"Origin: http://t"), 403),
    "another, with a cookie as of a browser": ((b"Origin: https://evil", b"Cookie: session=1"), 403),
}

PLAIN = DeflateOffer()
# WSP-08, G-057: a field's value, and the offers that are good.
OFFERS: list[tuple[bytes, list[DeflateOffer]]] = [
    (b"permessage-deflate", [PLAIN]),
    (b"permessage-deflate; client_max_window_bits", [DeflateOffer(client_bits=16)]),
    (b"permessage-deflate; client_max_window_bits=10", [DeflateOffer(client_bits=10)]),
    (b"permessage-deflate;client_max_window_bits = 15", [DeflateOffer(client_bits=15)]),
    (b'permessage-deflate; server_max_window_bits="10"', [DeflateOffer(server_bits=10)]),
    (b"permessage-deflate; server_max_window_bits=8", [DeflateOffer(server_bits=8)]),
    (
        b"permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        [DeflateOffer(server_no_takeover=True, client_no_takeover=True)],
    ),
    (b"permessage-deflate, permessage-deflate; client_max_window_bits", [PLAIN, DeflateOffer(client_bits=16)]),
    (b"x-webkit-deflate-frame, permessage-deflate", [PLAIN]),
    (b"permessage-deflate; unknown, permessage-deflate", [PLAIN]),
    (b"permessage-deflate; server_max_window_bits", []),
    (b"permessage-deflate; server_max_window_bits=", []),
    (b"permessage-deflate; server_max_window_bits=0", []),
    (b"permessage-deflate; server_max_window_bits=7", []),
    (b"permessage-deflate; server_max_window_bits=16", []),
    (b"permessage-deflate; server_max_window_bits=09", []),
    (b"permessage-deflate; server_max_window_bits=+9", []),
    (b"permessage-deflate; server_max_window_bits=1_0", []),
    (b"permessage-deflate; server_max_window_bits=\xb9", []),
    (b"permessage-deflate; server_max_window_bits=999999999999999999999", []),
    (b"permessage-deflate; client_max_window_bits=8; server_max_window_bits=0", []),
    (b"permessage-deflate; client_max_window_bits=16", []),
    (b"permessage-deflate; client_max_window_bits=", []),
    (b'permessage-deflate; client_max_window_bits="', []),
    (b"permessage-deflate; client_max_window_bits; client_max_window_bits", []),
    (b"permessage-deflate; client_max_window_bits; client_max_window_bits=10", []),
    (b"permessage-deflate; server_max_window_bits=10; server_max_window_bits=10", []),
    (b"permessage-deflate; server_no_context_takeover=1", []),
    (b"permessage-deflate; server_no_context_takeover=", []),
    (b"permessage-deflate; client_no_context_takeover; client_no_context_takeover", []),
    (b"permessage-deflate;", []),
    (b"permessage-deflate; ; client_no_context_takeover", []),
    (b"permessage-deflate=1", []),
    (b"permessage-deflate" + b"; x" * 10_000, []),
    (b";", []),
    (b",,,", []),
    (b'"permessage-deflate', []),
    (b"", []),
]
