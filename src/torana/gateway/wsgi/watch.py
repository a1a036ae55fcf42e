"""Looks after WSGI calls whose time is limited: answers for those that are due, ends them, gives up threads that stay.

All on the loop's thread, about once a second. Never here: what may be done to a call at which moment (``deadline.py``).
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from torana.gateway.culprit import stack_place, stack_text
from torana.gateway.failure import log_timeout, logger, shown
from torana.gateway.rounds import Rounds
from torana.gateway.stacks import frame_of_thread, stack_of_frame
from torana.gateway.wsgi.deadline import new_timed_call
from torana.gateway.wsgi.interrupt import CAN_INTERRUPT, is_spared

if TYPE_CHECKING:
    from collections.abc import Callable

    from torana.exchange.request import Request
    from torana.exchange.response import Response
    from torana.gateway.threads import ThreadPool
    from torana.gateway.wsgi.call import Site
    from torana.gateway.wsgi.deadline import TimedCall

#: A thread that has not come back this long after its call was taken is given up; seconds.
_STUCK_S = 5.0
#: Stacks logged in one look; of a burst the others are much the same, and writing them takes time.
_MOST_STACKS = 10


class Watch:
    """For one gateway. ``on_worn`` is told once why another worker should take this one's place, if there is one."""

    def __init__(self, limit_s: float, pool: ThreadPool, on_worn: Callable[[str], None] | None) -> None:
        self.limit_s = limit_s
        #: Calls in the application; threads add and remove their own.
        self.running: set[TimedCall] = set()
        self._pool = pool
        self._on_worn = on_worn
        self._rounds = Rounds(limit_s)
        # Taken calls whose threads have not come back: (when taken, call, is it in the log), the oldest first.
        self._taken: deque[tuple[float, TimedCall, bool]] = deque()
        self._stacks = 0

    def new_call(self, site: Site, request: Request, response: Response) -> TimedCall:
        """A call that is looked after once a thread runs it."""
        return new_timed_call(site, request, response, self.running, self.limit_s)

    def look(self, now: float) -> None:
        """See to all that is due."""
        late = self._rounds.late(now)
        due = now + self._rounds.step_s
        self._stacks = 0
        self._look_at_taken(now)
        for call in list(self.running):
            if late:
                call.spared_s += late
            ends = call.due()
            if ends > now:
                due = min(due, ends)
            elif call.take(now):
                self._end(call, now)
        if self._stacks > _MOST_STACKS:
            logger.error("%d more requests timed out at this moment", self._stacks - _MOST_STACKS)
        self._rounds.plan(due, now, self.look)

    def _end(self, call: TimedCall, now: float) -> None:
        """A call was taken: interrupt its thread, answer, and say where it stood."""
        has_begun = False
        stack = None
        try:
            has_begun = call.has_begun()
            frame = frame_of_thread(call.ident)
            stack = stack_of_frame(frame)
            if not is_spared(frame):
                call.interrupt()
        finally:
            # Whatever else goes wrong, the client does not wait on.
            call.reply()
        self._taken.append((now, call, False))
        self._stacks += 1
        if self._stacks <= _MOST_STACKS:
            what = "thread " + _name(call.ident)
            log_timeout(call.head, call.limit_s, has_begun, what, stack_place(stack), stack_text(stack))

    def _look_at_taken(self, now: float) -> None:
        for _ in range(len(self._taken)):
            entry = taken_s, call, is_reported = self._taken.popleft()
            if call.is_left:
                continue
            if not call.is_told and not is_spared(frame_of_thread(call.ident)):
                call.interrupt()
            if now - taken_s >= _STUCK_S:
                if not is_reported:
                    self._report(call)
                    entry = (taken_s, call, True)
                if call.give_up_thread(self._pool.give_up):
                    self._pool.grow_if_waiting()
                    continue
            self._taken.append(entry)

    def _report(self, call: TimedCall) -> None:
        """The thread waits in C, or swallows what it is told."""
        stack = stack_of_frame(frame_of_thread(call.ident))
        place = stack_place(stack) or "C code"
        logger.error(
            "Thread %s is stuck at %s since the timeout of %s %s and is given up%s\n%s",
            _name(call.ident), place, call.head.method, shown(call.head.target),
            "" if self._on_worn is None else "; this worker asks to be replaced", stack_text(stack),
        )  # fmt: skip
        told, self._on_worn = self._on_worn, None
        if told is not None:
            told(f"a thread is stuck in {place}")


def _name(ident: int) -> str:
    return next((thread.name for thread in threading.enumerate() if thread.ident == ident), str(ident))


if not CAN_INTERRUPT:
    logger.warning("Threads cannot be interrupted here; timeout_request answers 504 and replaces the worker")
