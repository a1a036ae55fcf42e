"""WebSocket handshakes for applications that speak the protocol themselves, whatever HTTP version the client uses.

Such an application knows the handshake of HTTP/1.1 only; over HTTP/2 (RFC 8441) there is no key, no Upgrade field and
another status. Never here: WebSocket's own rules, frames.
"""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torana.wire.events import Fields, RequestHead

#: Bytes of a key (RFC 6455 section 4.1).
_KEY_BYTES = 16
#: Ours in both directions.
_OF_UPGRADE = (b"connection", b"upgrade")


def is_handshake(head: RequestHead) -> bool:
    """Whether a request that names an upgrade asks for WebSocket in a way that an application may agree to."""
    if head.upgrade is None or b"websocket" not in head.upgrade.lower():
        return False
    return head.method == ("CONNECT" if head.version == "2" else "GET")


def handshake_fields(head: RequestHead) -> Fields:
    """The fields of a handshake as an HTTP/1.1 application expects them; over HTTP/2 the key is made up."""
    fields = [field for field in head.fields if field[0] not in _OF_UPGRADE]
    fields += [(b"connection", b"Upgrade"), (b"upgrade", b"websocket")]
    if head.version == "2":
        fields = [field for field in fields if field[0] != b"sec-websocket-key"]
        fields.append((b"sec-websocket-key", base64.b64encode(os.urandom(_KEY_BYTES))))
    return fields


def agreed_fields(head: RequestHead, fields: Fields) -> Fields:
    """What of the fields of the application's 101 goes to the client: over HTTP/2 there is no key to be accepted."""
    kept = [field for field in fields if field[0].lower() not in _OF_UPGRADE]
    if head.version == "2":
        kept = [field for field in kept if field[0].lower() != b"sec-websocket-accept"]
    return kept
