"""When running calls are looked at for their time, and how much of the time was not theirs.

Each tick, and once more at the moment a call's time is over. A loop that was held up (by one call that blocks it, by a
stopped process) is late for all of them; that time is charged to nobody, so that one call's fault is not its
neighbours' timeout. Never here: calls, what becomes of one whose time is over.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

#: Never looked more often than this because of single deadlines.
_LEAST_S = 0.02


class Rounds:
    """For one gateway, on the loop's thread. All times in seconds of the monotonic clock."""

    def __init__(self, limit_s: float) -> None:
        #: Looks are expected at least this often (``serve/timeouts.tick_s`` sees to it).
        self.step_s = min(1.0, max(_LEAST_S, limit_s / 4))
        self._looked = time.monotonic()
        self._is_planned = False

    def late(self, now: float) -> float:
        """To be asked once a look: how much later than expected it comes, 0 for what is ordinary."""
        gap = now - self._looked
        self._looked = now
        return gap - self.step_s if gap > 2 * self.step_s else 0.0

    def plan(self, due: float, now: float, look: Callable[[float], None]) -> None:
        """Have ``look(now)`` called when ``due`` comes, if that is before the next tick."""
        if self._is_planned or due - now >= self.step_s:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            # Ticked from outside of a loop: the tick alone must do.
            return
        self._is_planned = True
        loop.call_later(max(_LEAST_S, due - now), self._look, look)

    def _look(self, look: Callable[[float], None]) -> None:
        self._is_planned = False
        look(time.monotonic())
