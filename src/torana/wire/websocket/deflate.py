"""Compression of messages: permessage-deflate in the measure that the handshake agreed on (RFC 7692 section 7.2).

State is made when the first message needs it, and kept between messages only where that was agreed on.
Never here: negotiation (``extensions``), frames.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torana.wire.websocket.extensions import Deflate
    from torana.wire.websocket.message import Message

#: Messages below are sent as they are: there is little to gain, and zlib is slow to start.
LEAST_BYTES = 1024
#: So are those above: the event loop would stand still for longer than 20 ms.
MOST_BYTES = 1024 * 1024
#: Most that is inflated at once (threat G-062) ...
STEP_BYTES = 64 * 1024
#: ... and most that is fed at once, for zlib copies what it leaves.
_FEED_BYTES = 16 * 1024
#: Compressed streams that may end within one message; each costs a new one. Senders end none or one.
_MOST_ENDS = 16

#: The end that every message has and none is sent with (section 7.2.1).
_TAIL = b"\x00\x00\xff\xff"
#: Speed before size; memory of 2^(5+9) bytes besides the window's 2^(12+2).
_LEVEL = 1
_MEMORY = 5

# Compiled, the names above are C variables (deflate.pxd); this keeps them importable from Python.
globals().update(LEAST_BYTES=LEAST_BYTES, MOST_BYTES=MOST_BYTES, STEP_BYTES=STEP_BYTES)


class InflateError(Exception):
    """What the client sent is no compressed data."""


class Deflater:
    """Compresses our messages."""

    def __init__(self, deflate: Deflate) -> None:
        self._bits = deflate.our_bits
        self._has_takeover = deflate.has_our_takeover
        self._stream: Any = None

    def deflate(self, data: bytes) -> bytes | None:
        """``data`` compressed, or None when it is better sent as it is."""
        if len(data) < LEAST_BYTES or len(data) > MOST_BYTES:
            return None
        stream = self._stream
        if stream is None:
            stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, -self._bits, _MEMORY)
            if self._has_takeover:
                self._stream = stream
        compressed: bytes = stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH)
        if not self._has_takeover and len(compressed) >= len(data):
            return None
        return compressed[: len(compressed) - 4]


class Inflater:
    """Inflates the client's messages."""

    def __init__(self, deflate: Deflate) -> None:
        self._bits = deflate.their_bits
        self._has_takeover = deflate.has_their_takeover
        self._stream: Any = None
        self._ends = 0
        self._is_fed = False

    def inflate(self, data: bytes, is_end: bool, message: Message, limit: int) -> bool:
        """Inflate a part of a message into ``message``; ``is_end``: it was the last. Raises ``InflateError``.

        False when the message is beyond ``limit`` bytes; then one byte more than that is held, and no more produced.
        """
        size = len(data)
        start = 0
        while start < size:
            if not self._feed(data[start : start + _FEED_BYTES], message, limit):
                return False
            start += _FEED_BYTES
        if size:
            self._is_fed = True
        if not is_end:
            return True
        # An empty message without even an empty block is not what the RFC asks for, but plain.
        is_within = self._feed(_TAIL, message, limit) if self._is_fed else True
        if not self._has_takeover or self._ends:
            self._stream = None
        self._ends = 0
        self._is_fed = False
        return is_within

    def _feed(self, data: bytes, message: Message, limit: int) -> bool:
        """Inflate all of ``data``, in steps; False when that is too much."""
        while True:
            stream = self._stream
            if stream is None:
                stream = self._stream = zlib.decompressobj(-self._bits)
            most = min(STEP_BYTES, limit + 1 - message.size)
            try:
                inflated = stream.decompress(data, most)
            except zlib.error:
                raise InflateError from None
            if inflated:
                message.add(inflated)
                if message.size > limit:
                    return False
            if stream.eof:
                # The sender has ended its stream (BFINAL, section 7.2.3.4); what follows begins another.
                data = stream.unused_data
                self._stream = None
                self._ends += 1
                if self._ends > _MOST_ENDS:
                    raise InflateError
            else:
                data = stream.unconsumed_tail
                if len(inflated) == most:
                    continue  # it may hold more than it was allowed to give
            if not data:
                return True
