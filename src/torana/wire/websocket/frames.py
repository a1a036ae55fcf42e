"""Frames of ours as bytes: never masked, never fragmented (RFC 6455 sections 5.1, 5.2, 5.5).

Never here: whether a frame may be sent (``states``), frames of the client (``connection`` reads them).
"""

from __future__ import annotations

from torana.wire.websocket.states import FINAL, OP_BINARY, OP_TEXT

try:
    import cython
except ImportError:
    from torana.base import uncompiled as cython

#: Most payload of a control frame (section 5.5); a close frame's code takes two of it.
CONTROL_BYTES = 125
REASON_BYTES = 123


def frame_head(first: int, size: int) -> bytes:
    """Head of a frame whose first byte is ``first`` and that has ``size`` bytes of payload."""
    if size < 126:
        return bytes((first, size))
    if size < 0x10000:
        return bytes((first, 126, size >> 8, size & 0xFF))
    return bytes((first, 127)) + size.to_bytes(8, "big")


def text_frame(data: str) -> bytes:
    """A whole text message. Raises ``UnicodeEncodeError`` for lone surrogates, which have no UTF-8."""
    if cython.compiled:
        frame: bytes = framed_text(FINAL | OP_TEXT, data)
        return frame
    payload = data.encode("utf-8")
    return frame_head(FINAL | OP_TEXT, len(payload)) + payload


def binary_frame(data: bytes) -> bytes:
    """A whole binary message."""
    if cython.compiled:
        frame: bytes = framed(FINAL | OP_BINARY, data, len(data))
        return frame
    return frame_head(FINAL | OP_BINARY, len(data)) + data


def control_frame(opcode: int, payload: bytes) -> bytes:
    """A control frame. Raises ``ValueError`` when its payload is too long."""
    if len(payload) > CONTROL_BYTES:
        raise ValueError("a control frame has at most 125 bytes of payload")
    return bytes((FINAL | opcode, len(payload))) + payload


def close_payload(code: int, reason: str) -> bytes:
    """Payload of a close frame. Raises ``ValueError`` when ``reason`` has more than 123 bytes of UTF-8."""
    text = reason.encode("utf-8")
    if len(text) > REASON_BYTES:
        raise ValueError("a close reason has at most 123 bytes")
    return bytes((code >> 8, code & 0xFF)) + text
