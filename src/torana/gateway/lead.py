"""Leader and followers: while a thread works off what the loop gave it, that thread does the loop's next turn too.

A loop that parses and a thread that answers wake each other for every few requests, and a wake-up costs as much as a
request. So the loop's thread, when it has queued a batch, stands still for a moment, and the thread that then finds the
queue empty takes the lead: it does one turn of the loop, which fills the queue anew. One at a time leads, who holds the
``_baton``; while all are in the application it is free, and the loop's thread may take it and go on beside them.
It is worth it only where one thread is enough, because the application computes: threads that wait had better wait
side by side, each woken by its own job. Never here: what a turn does, what a job is.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from asyncio import _set_running_loop
from collections.abc import Callable
from time import monotonic, process_time

from torana.gateway.jobs import Place, let_leave
from torana.gateway.threads import ThreadPool

logger = logging.getLogger("torana.error")

#: Fewer jobs are not worth two wake-ups.
_FEW = 4
#: For this long there are turns by others.
_TURNS_S = 0.02
#: As often the loop's thread looks whether jobs are done and time is spent computing; if not, it ends that. To look it
#: takes the interpreter's lock from who computes: so more seldom, by a step for each time that passed without a reason.
_LOOK_S = 0.004
_LOOK_STEP_S = 0.001
_SELDOM_S = 0.024
#: For this long a turn is waited for whose end nobody else would hear of.
_INTERRUPTED_S = 1.0
#: The part of the time that has to be spent computing, judged whenever so much time has passed.
_COMPUTING = 0.75
_JUDGED_S = 0.004
#: For how long nobody leads if it was less: at first, and at most if it goes on so.
_REST_S = 0.05
_MOST_REST_S = 1.0


class Lead:
    """Who does the turns of ``loop`` that the threads of ``pool`` may do; ``turn()`` is one, and never waits."""

    def __init__(self, pool: ThreadPool, turn: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        self._pool = pool
        self._queue = pool.queue
        self._turn = turn
        self._loop = loop
        self._baton = threading.Lock()
        self._baton.acquire()
        #: Released by a leader when nothing is left to do or the time is over.
        self._over = threading.Lock()
        self._over.acquire()
        self._until = 0.0
        self._rest_until = 0.0
        self._rest_s = _REST_S
        self._look_s = _LOOK_S
        self._passed_s = 0.0
        self._computed_s = 0.0

    def offer(self) -> None:
        """After a batch, on the loop's thread: stand still for a moment if a thread has enough to do."""
        queue = self._queue
        if queue.qsize() < _FEW or self._pool.awake() > 1:
            return
        began = monotonic()
        if began < self._rest_until:
            return
        computed_s = process_time()
        self._until = began + _TURNS_S
        try:
            queue.lead = self
            self._baton.release()
            self._take_back(began, computed_s)
        except BaseException:
            # A signal's handler raised it. No turn begins from here on, and one that has begun does not last.
            self._until = 0.0
            if not self._over.acquire(timeout=_INTERRUPTED_S):
                self._baton.acquire(blocking=False)
            raise
        finally:
            queue.lead = None
            # While there was a leader no job woke anybody.
            queue.wake_one()
        self._judge(monotonic() - began, process_time() - computed_s)

    def _take_back(self, began: float, computed_s: float) -> None:
        done, is_held_up = self._pool.done(), False
        while not self._over.acquire(timeout=self._look_s):
            before, done, now = done, self._pool.done(), monotonic()
            is_held_up = done == before or process_time() - computed_s < _COMPUTING * (now - began)
            if not is_held_up and now < self._until:
                continue
            # A turn that lasts is waited for: there must not be two.
            if self._baton.acquire(blocking=False):
                break
        if is_held_up:
            self._look_s = _LOOK_S
        elif self._look_s < _SELDOM_S and monotonic() >= self._until:
            self._look_s += _LOOK_STEP_S

    def take(self, place: Place) -> bool:
        """On a thread that finds no job: do a turn if nobody else does. True when there are jobs again."""
        if not self._baton.acquire(blocking=False):
            return False
        has_jobs = False
        try:
            let_leave(place.burst)
            if monotonic() < self._until:
                # Whoever asks which loop runs here gets the answer that he would get on its own thread.
                _set_running_loop(self._loop)
                try:
                    self._turn()
                finally:
                    _set_running_loop(None)
                has_jobs = self._queue.qsize() > 0
        except BaseException:
            logger.exception("A turn of the loop failed on %s", threading.current_thread().name)
        finally:
            (self._baton if has_jobs else self._over).release()
        return has_jobs

    def _judge(self, passed_s: float, computed_s: float) -> None:
        self._passed_s += passed_s
        self._computed_s += computed_s
        if self._passed_s < _JUDGED_S:
            return
        if self._computed_s < _COMPUTING * self._passed_s:
            self._rest_until = monotonic() + self._rest_s
            self._rest_s = min(_MOST_REST_S, 2 * self._rest_s)
        else:
            self._rest_s = _REST_S
        self._passed_s = self._computed_s = 0.0
