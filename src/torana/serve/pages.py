"""Memory that nobody uses any more, given back to the system when a crowd has left.

The C library keeps what was freed for the next allocations: after a flood of connections a worker would stay as large
as it was at its height. Never here: what is held and by whom (``memory``), how many connections there may be.
"""

from __future__ import annotations

from collections.abc import Callable

#: Fewer connections, or bytes held for clients, are not worth the look.
_CROWD = 1000
_HELD_BYTES = 64 * 1024 * 1024
#: A crowd has left when only this share of it is there, and for so many looks: one that comes and goes all the time
#: shall not cost its work each time.
_LEFT = 16
_LOOKS = 5


class Pages:
    """Looked at about once a second, by the loop. ``give_back``: what to do when a crowd has left."""

    def __init__(self, give_back: Callable[[], None] | None = None) -> None:
        self._give_back = give_back or trim
        self._connections = 0
        self._held = 0
        self._looks = 0

    def look(self, connections: int, held: int) -> None:
        """So many connections there are, and so many bytes are held for them."""
        self._connections = max(self._connections, connections)
        self._held = max(self._held, held)
        has_left = self._connections >= _CROWD and connections * _LEFT <= self._connections
        if not has_left and (self._held < _HELD_BYTES or held * _LEFT > self._held):
            self._looks = 0
            return
        self._looks += 1
        if self._looks >= _LOOKS:
            self._looks = 0
            self._connections = connections
            self._held = held
            self._give_back()


def trim() -> None:
    """glibc: release whole pages that hold nothing, some ten milliseconds for each 100 MiB; elsewhere nothing."""
    import ctypes

    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        # Another C library, or none that can be asked.
        return
