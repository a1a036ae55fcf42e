"""What a client may have us do for nothing: fragments of a message, control frames (threats G-061, G-063).

Never here: sizes (``connection`` knows them from the frames' heads), clocks (time is passed in).
"""

from __future__ import annotations

#: Control frames that may come at once, and how many are forgiven a second. A client that pings every second is still
#: within them after ten minutes in which we did not read.
_CONTROL_BURST = 1000.0
_CONTROL_RATE = 50.0
#: Empty fragments of one message.
_EMPTY_FRAGMENTS = 100
#: Fragments of one message: so many, or one for so many bytes of the largest message.
_FRAGMENTS = 1024
_FRAGMENT_BYTES = 256


class Budget:
    """What is left to one connection."""

    def __init__(self, message_bytes: int) -> None:
        self._most_fragments = max(_FRAGMENTS, message_bytes // _FRAGMENT_BYTES)
        self._fragments = 0
        self._empty_fragments = 0
        self._credit = _CONTROL_BURST
        self._credited_at = 0.0

    def begin_message(self) -> int:
        """A message begins: its fragments are counted anew."""
        self._fragments = 0
        self._empty_fragments = 0
        return 0

    def has_fragment(self) -> bool:
        """Take one fragment; False when there were too many."""
        self._fragments += 1
        return self._fragments <= self._most_fragments

    def has_empty_fragment(self) -> bool:
        """Take one fragment without payload that does not end its message."""
        self._empty_fragments += 1
        return self._empty_fragments <= _EMPTY_FRAGMENTS

    def has_control_frame(self, now: float) -> bool:
        """Take one ping or pong that came at ``now`` (seconds of any clock)."""
        self._credit += (now - self._credited_at) * _CONTROL_RATE
        if self._credit > _CONTROL_BURST:
            self._credit = _CONTROL_BURST
        self._credited_at = now
        if self._credit < 1.0:
            return False
        self._credit -= 1.0
        return True
