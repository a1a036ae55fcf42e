"""The monotonic clock, read for what cannot wait for the loop's (``net/clock``): a thread has no turns of the loop.

Never here: the time of day.
"""

from __future__ import annotations

import time

try:
    import cython
except ImportError:
    from torana.base import uncompiled as cython


def now_s() -> float:
    """Monotonic seconds, as ``time.monotonic``."""
    if cython.compiled:
        # The same clock, without an object on the way.
        seconds: float = _monotonic()
        return seconds
    return time.monotonic()
