"""Masking: the client XORs its frames with a key of four bytes, and here they are freed of it (RFC 6455 section 5.3).

A key is a number of 32 bits whose highest byte is XORed with the first byte of the payload.
Never here: what the bytes mean.
"""

from __future__ import annotations

try:
    import cython
except ImportError:
    from torana.base import uncompiled as cython


def unmasked(data: bytes, start: int, end: int, key: int) -> bytes:
    """``data[start:end]`` without its mask."""
    if cython.compiled:
        whole: bytes = freed(data, start, end, key)
        return whole
    size = end - start
    pad = (key.to_bytes(4, "big") * ((size + 3) // 4))[:size]
    return (int.from_bytes(data[start:end], "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")


def unmasked_text(data: bytes, start: int, end: int, key: int) -> str:
    """``data[start:end]`` without its mask, as UTF-8 text. Raises ``UnicodeDecodeError``."""
    if cython.compiled:
        text: str = freed_text(data, start, end, key)
        return text
    return unmasked(data, start, end, key).decode("utf-8")


def rotated(key: int, count: int) -> int:
    """The key for what follows ``count`` bytes."""
    bits = (count & 3) * 8
    if bits == 0:
        return key
    return (key << bits | key >> (32 - bits)) & 0xFFFF_FFFF
