"""Flow control (RFC 9113 sections 5.2, 6.9 and 6.9.1): how much the client may send, and how much we may.

Every byte of DATA that is received is in one of three places: given back and announced, given back and not announced
yet, or outstanding (``taken`` and not given back): their sum is the window's size, always (threat G-050).
Never here: frames, streams, and who has consumed what.
"""

from __future__ import annotations

#: Largest window there may be.
LARGEST_WINDOW = 0x7FFF_FFFF
#: Window of every connection and stream that was not told otherwise.
FIRST_WINDOW = 65535

# Compiled, the names above are C variables (windows.pxd); this keeps them importable from Python.
globals().update(LARGEST_WINDOW=LARGEST_WINDOW, FIRST_WINDOW=FIRST_WINDOW)


class InWindow:
    """What the client may send, on a stream or on the connection."""

    def __init__(self, size: int) -> None:
        self.begin(size)

    def begin(self, size: int) -> int:
        """Open it, ``size`` bytes wide."""
        self.size = size
        #: Bytes that the client may still send.
        self.left = size
        #: Bytes received and not given back.
        self.taken = 0
        #: Bytes given back that the client was not told of yet.
        self.unannounced = 0
        return 0

    def take(self, count: int) -> bool:
        """``count`` bytes have come; False, and nothing done, when that is more than was allowed."""
        if count > self.left:
            return False
        self.left -= count
        self.taken += count
        return True

    def give_back(self, count: int) -> int:
        """``count`` of the taken bytes are gone; the increment to announce now, or 0.

        Small ones are saved up until half of the window could be announced: a frame for a few bytes is waste.
        """
        self.taken -= count
        self.unannounced += count
        if self.unannounced * 2 < self.size:
            return 0
        increment = self.unannounced
        self.unannounced = 0
        self.left += increment
        return increment

    def widen(self, count: int) -> int:
        """Let the client send ``count`` bytes more from here on; that has to be announced."""
        self.size += count
        self.left += count
        return 0

    def surrender(self) -> int:
        """Count nothing as taken any more, without giving it back; how much it was."""
        count = self.taken
        self.taken = 0
        return count


def new_window(size: int) -> InWindow:
    """``InWindow(size)``, without the cost of a call through the type."""
    made = InWindow.__new__(InWindow)
    made.begin(size)
    return made


def can_widen(window: int, increment: int) -> bool:
    """Whether a window of ours (which may be negative) stays legal when it grows by ``increment``."""
    return window + increment <= LARGEST_WINDOW
