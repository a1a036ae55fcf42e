"""A message while it arrives: where its pieces are put together, and its text judged as it streams.

Room grows with what has come, never with what was announced (threat G-060). The finished message is the room itself
(binary) or decoded from it once (text). Never here: frames, limits.
"""

from __future__ import annotations

from torana.wire.websocket.mask import unmasked
from torana.wire.websocket.utf8 import BROKEN, WHOLE, after_text

try:
    import cython
except ImportError:
    from torana.base import uncompiled as cython


class Message:
    """One message, of up to ``most`` bytes; pieces in, ``taken`` out."""

    def __init__(self, is_text: bool, most: int) -> None:
        self.size = 0
        #: Bytes that are held for it.
        self.capacity = 0
        self._is_text = is_text
        self._most = most
        self._checked = 0
        self._utf8 = WHOLE
        # Compiled, a bytes object that nobody else has seen; uncompiled, a bytearray.
        self._room: bytes | bytearray = b"" if cython.compiled else bytearray()

    def add_masked(self, data: bytes, start: int, end: int, key: int, to_come: int) -> int:
        """Append ``data[start:end]`` without its mask; of the same frame ``to_come`` bytes more are announced."""
        if cython.compiled:
            self._reserve(end - start, to_come)
            add_freed(self, data, start, end, key)
        else:
            self._room += unmasked(data, start, end, key)
            self.size = self.capacity = len(self._room)
        return 0

    def add(self, data: bytes) -> int:
        """Append ``data``."""
        if cython.compiled:
            self._reserve(len(data), self.size)
            add_plain(self, data)
        else:
            self._room += data
            self.size = self.capacity = len(self._room)
        return 0

    def _reserve(self, count: int, to_come: int) -> int:
        """Make room for ``count`` bytes, and for those to come if they are not more than what there is then.

        At least by half, so that a message in many small pieces is not copied for each.
        """
        needed = self.size + count
        if needed > self.capacity:
            capacity = max(min(needed + max(min(to_come, needed), self.size >> 1), self._most), needed)
            resize(self, capacity)
            self.capacity = capacity
        return 0

    def is_valid(self) -> bool:
        """Whether what has come so far may be the beginning of such a message."""
        if self._is_text and self._checked < self.size:
            self._utf8 = after_text(self._utf8, self._room, self._checked, self.size)
            self._checked = self.size
        return self._utf8 != BROKEN

    def taken(self) -> str | bytes:
        """The whole message, once. Raises ``UnicodeDecodeError``."""
        if cython.compiled:
            whole: str | bytes = finished_text(self) if self._is_text else finished_binary(self)
            return whole
        return self._room.decode("utf-8") if self._is_text else bytes(self._room)
