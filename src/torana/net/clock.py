"""The cached clock: read once a batch of events, so that no request pays for the time of day.

``now`` is monotonic seconds; ``date`` is the value of a Date field, ``date_line`` the complete line (RFC 9110 section
5.6.7, 6.6.1).
"""

from __future__ import annotations

import time

try:
    import cython
except ImportError:
    from torana.base import uncompiled as cython

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def now_s() -> float:
    """Monotonic seconds as of this moment, for a thread that has no turns of the loop."""
    if cython.compiled:
        # The clock of ``time.monotonic``, without an object on the way.
        seconds: float = _monotonic()
        return seconds
    return time.monotonic()


def http_date(epoch_s: float) -> bytes:
    """An IMF-fixdate, independent of the locale."""
    year, month, day, hour, minute, second, weekday, _, _ = time.gmtime(epoch_s)
    text = f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year} {hour:02}:{minute:02}:{second:02} GMT"
    return text.encode("ascii")


class Clock:
    """Monotonic seconds and the date, refreshed by whoever drives the loop."""

    def __init__(self) -> None:
        self.now = 0.0
        self.date = b""
        self.date_line = b""
        self._date_until = 0.0
        self.refresh()

    def refresh(self) -> None:
        """Read the clock; the date is made anew at most once a second."""
        self.now = now_s()
        if self.now >= self._date_until:
            wall = time.time()
            self.date = http_date(wall)
            self.date_line = b"date: " + self.date + b"\r\n"
            self._date_until = self.now + 1.0 - wall % 1.0
