"""Bounds of a WebSocket connection (values: ``docs/reference/settings``). Nothing here is computed."""

from __future__ import annotations

from msgspec import Struct


class Limits(Struct, frozen=True):
    """What one message may cost."""

    #: Bytes of the largest message, after inflation.
    message_bytes: int = 16 * 1024 * 1024
    #: Compress messages (permessage-deflate) for clients that offer it.
    has_deflate: bool = True
