"""Bounds of an HTTP/2 connection (values: ``docs/reference/settings``). Nothing here is computed."""

from __future__ import annotations

from msgspec import Struct


class Limits(Struct, frozen=True):
    """What one connection may cost; sizes in bytes. Header and trailer sections are bounded as in HTTP/1."""

    #: Requests that run at once, cancelled ones counted until the application has ended.
    streams: int = 128
    #: Receive window of a stream and of the connection (RFC 9113 section 5.2); what the connection holds of bodies that
    #: nobody reads may be eight times its window, so that other streams need not wait for them.
    stream_window_bytes: int = 256 * 1024
    connection_window_bytes: int = 1024 * 1024
    #: Streams reset at once, by either side; as many are forgiven in 30 s.
    resets: int = 200
