"""Bounds of a WebSocket connection (values: ``docs/reference/settings``). Nothing here is computed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What one message may cost."""

    #: Bytes of the largest message, after inflation.
    message_bytes: int = 16 * 1024 * 1024
    #: Compress messages (permessage-deflate) for clients that offer it.
    has_deflate: bool = True
