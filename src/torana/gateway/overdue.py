"""Looks after calls that run on the loop and whose time is limited: finds those that are due, and has them ended.

The same for every gateway that answers on the loop; what a call's time is and how it ends, each gateway says. About
once a second, on the loop's thread. Never here: threads (``wsgi/watch``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from torana.gateway.failure import logger
from torana.gateway.rounds import Rounds

#: Stacks logged in one look; of a burst the others are much the same, and writing them takes time.
_MOST_STACKS = 10

#: The time of a call that is not to be looked at any more.
NEVER = float("inf")

Timed = TypeVar("Timed")


class Overdue(Generic[Timed]):
    """For the calls of one gateway. All times in seconds of the monotonic clock."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._rounds = Rounds(limit_s)

    def calls(self) -> Iterable[Timed]:
        """The calls under way."""
        raise NotImplementedError

    def due(self, call: Timed, now: float, late: float) -> float:
        """When a call's time is over, ``NEVER`` if it is not limited; ``late`` is what the loop was held up."""
        raise NotImplementedError

    def end(self, call: Timed, is_told: bool) -> None:
        """Cancel a call, and answer 504 in its place or cut what has begun; ``is_told``: log where it stood."""
        raise NotImplementedError

    def look(self, now: float) -> None:
        """See to all that is due."""
        late = self._rounds.late(now)
        soonest = now + self._rounds.step_s
        overdue = []
        for call in self.calls():
            ends = self.due(call, now, late)
            if ends <= now:
                overdue.append(call)
            elif ends < soonest:
                soonest = ends
        # Afterwards, as an answer may bring the next request of its connection, and with it a new call.
        for number, call in enumerate(overdue):
            self.end(call, number < _MOST_STACKS)
        if len(overdue) > _MOST_STACKS:
            logger.error("%d more requests timed out at this moment", len(overdue) - _MOST_STACKS)
        self._rounds.plan(soonest, now, self.look)
