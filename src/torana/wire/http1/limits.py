"""Bounds of the HTTP/1 parser (values: ``docs/reference/settings``). Nothing here is computed."""

from __future__ import annotations

from msgspec import Struct


class Limits(Struct, frozen=True):
    """What one HTTP/1 message head and its framing may cost; sizes in bytes."""

    request_line_bytes: int = 8 * 1024
    method_bytes: int = 32
    field_bytes: int = 16 * 1024
    head_bytes: int = 64 * 1024
    field_count: int = 128
    trailer_bytes: int = 8 * 1024
    chunk_line_bytes: int = 256
    chunk_extension_bytes: int = 16 * 1024
    chunk_overhead_bytes: int = 16 * 1024
