"""How often a client may do what costs us more than it costs the client (RFC 9113 section 10.5).

Token buckets: so much at once, so much a second, and some of it back for work that honest clients do as well
(threats G-039 to G-049).
Never here: clocks (times are passed in), what is counted, what happens when a bucket is empty.
"""

from __future__ import annotations

#: SETTINGS frames: at once, and a second.
SETTINGS_BURST = 100.0
SETTINGS_RATE = 100.0 / 60
#: PING frames. Clients that measure bandwidth send one in each round trip that carries data: see the gifts.
PING_BURST = 100.0
PING_RATE = 10.0
#: WINDOW_UPDATE frames.
UPDATE_BURST = 1000.0
UPDATE_RATE = 100.0
#: Each DATA frame of ours is a reason for the client to send so many more of either.
PING_GIFT = 1.0
UPDATE_GIFT = 4.0
#: PRIORITY, GOAWAY, unknown frames, and those on streams that are over.
ODD_BURST = 1000.0
ODD_RATE = 100.0
#: Requests refused because too many run: before a client knows our SETTINGS it may well send that many.
REFUSAL_BURST = 1000.0
REFUSAL_RATE = 100.0
#: In how many seconds all resets of the limit are forgiven.
RESET_FORGIVEN_S = 30.0
#: DATA frames smaller than this cost what they lack of it ...
SMALL_FRAME = 256
#: ... from this budget in bytes, which is refilled by data that is consumed, and by time.
SMALL_BURST = 1024.0 * 1024
SMALL_RATE = 64.0 * 1024
#: DATA frames of ours that are small because the client's window is: at once, and a second (threat G-049).
CRUMB_BURST = 100.0
CRUMB_RATE = 10.0

# Compiled, this one is a C variable (budgets.pxd); this keeps it importable from Python.
globals().update(SMALL_FRAME=SMALL_FRAME)


class Bucket:
    """Tokens: full at first, taken one or more at a time, refilled by time."""

    def __init__(self, most: float, per_second: float) -> None:
        self._most = most
        self._rate = per_second
        self._left = most
        self._since = 0.0

    def take(self, now: float, count: float) -> bool:
        """Take ``count`` tokens; False when they are not there."""
        if self._left < count:
            # Time is looked at only here: a bucket that is never empty costs one comparison.
            self._left = min(self._most, self._left + (now - self._since) * self._rate)
            self._since = now
            if self._left < count:
                return False
        elif self._left == self._most:
            self._since = now
        self._left -= count
        return True

    def give(self, count: float) -> int:
        """Put ``count`` tokens back."""
        self._left = min(self._most, self._left + count)
        return 0
