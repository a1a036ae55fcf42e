"""The opening handshake: is a request a good one, and what our answer to it says (RFC 6455 section 4, RFC 8441).

Works on request heads that the HTTP room has found legal, so that Host is there and Connection lists "upgrade".
Never here: Origin (who may connect is policy), status lines, frames.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING

from torana.base.headers import get_all, is_token, joined, tokens
from torana.wire.events import Fields, WireError
from torana.wire.websocket import extensions

if TYPE_CHECKING:
    from torana.wire.events import RequestHead
    from torana.wire.websocket.extensions import Deflate, DeflateOffer
    from torana.wire.websocket.limits import Limits

#: The one version there is.
VERSION = b"13"
#: What a 426 must carry besides its Upgrade and Connection fields (section 4.4).
VERSION_FIELD = (b"sec-websocket-version", VERSION)
#: Subprotocols that one client may offer.
MOST_SUBPROTOCOLS = 64

_KEY_SIZE = 24
_KEY_BYTES = 16
#: Added to the key before it is hashed (section 1.3).
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Offer:
    """What a good handshake asks for."""

    def __init__(self, key: bytes, subprotocols: list[str], extensions: list[DeflateOffer]) -> None:
        #: The client's key; b"" over HTTP/2, which needs none.
        self.key = key
        #: Subprotocols in the client's order of preference.
        self.subprotocols = subprotocols
        #: The good offers of permessage-deflate.
        self.extensions = extensions


def is_websocket(value: bytes | None) -> bool:
    """Whether ``head.upgrade`` names WebSocket."""
    return value is not None and b"websocket" in tokens(value)


def offered(head: RequestHead) -> Offer:
    """What ``head``, for which ``is_websocket`` holds, asks for.

    Raises ``WireError``: 426 for another version (whose answer carries ``VERSION_FIELD``), 400 for all else.
    """
    is_http2 = head.version == "2"
    if head.method != ("CONNECT" if is_http2 else "GET"):
        raise WireError(400, "websocket-method")
    if head.content_length != (-1 if is_http2 else 0):
        raise WireError(400, "websocket-body")
    versions = get_all(head.fields, b"sec-websocket-version")
    if len(versions) > 1:
        raise WireError(400, "repeated-websocket-version")
    if versions != [VERSION]:
        raise WireError(426, "websocket-version")
    key = b"" if is_http2 else _key(head.fields)
    listed = extensions.offers(get_all(head.fields, b"sec-websocket-extensions"))
    return Offer(key, _subprotocols(head.fields), listed)


def _key(fields: Fields) -> bytes:
    """The one key, which is 16 bytes in base64 (section 4.2.1)."""
    keys = get_all(fields, b"sec-websocket-key")
    if len(keys) != 1:
        raise WireError(400, "repeated-websocket-key" if keys else "missing-websocket-key")
    key = keys[0]
    try:
        is_good = len(key) == _KEY_SIZE and len(binascii.a2b_base64(key, strict_mode=True)) == _KEY_BYTES
    except binascii.Error:
        is_good = False
    if not is_good:
        raise WireError(400, "bad-websocket-key")
    return key


def _subprotocols(fields: Fields) -> list[str]:
    """What all the Sec-WebSocket-Protocol fields list; each is a token, and so ASCII (section 4.1)."""
    value = joined(fields, b"sec-websocket-protocol")
    if value is None:
        return []
    listed = [name for part in value.split(b",") if (name := part.strip(b" \t"))]
    if len(listed) > MOST_SUBPROTOCOLS:
        raise WireError(400, "many-subprotocols")
    if not all(is_token(name) for name in listed):
        raise WireError(400, "bad-subprotocol")
    return [name.decode("ascii") for name in listed]


def answer(offer: Offer, subprotocol: str | None, limits: Limits, is_crowded: bool) -> tuple[Fields, Deflate | None]:
    """The fields of our 101 or 200 that are WebSocket's own, and what was agreed on for compression.

    ``subprotocol`` is one of ``offer.subprotocols`` or None; ``is_crowded`` asks for compression that keeps no state
    between messages.
    """
    fields: Fields = []
    if offer.key:
        fields.append((b"sec-websocket-accept", accept_key(offer.key)))
    if subprotocol is not None:
        fields.append((b"sec-websocket-protocol", subprotocol.encode("ascii")))
    agreed = extensions.agree(offer.extensions, is_crowded) if limits.has_deflate else None
    if agreed is None:
        return fields, None
    fields.append((b"sec-websocket-extensions", agreed[0]))
    return fields, agreed[1]


def accept_key(key: bytes) -> bytes:
    """Proof that we have read the handshake with ``key`` (section 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
