"""The queue between the loop and the threads: first in, first out, and never more threads woken than can start.

A queue that wakes one thread for each job makes a burst of jobs cost a burst of wake-ups, for threads that can only
wait for the interpreter's lock. Here at most one thread is on its way from sleep to work; it wakes the next when it has
taken its job and sees more. A burst that one thread works off thus costs one wake-up, and where jobs block, each thread
that starts to wait has its successor running already. What jobs have to send is kept for a moment in the same way, so
that it leaves together (``base/burst``). Never here: threads, what a job does.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import Empty
from typing import Any

from torana.base.burst import Burst, Sender
from torana.exchange.roles import Answerer

try:
    import cython
except ImportError:
    from torana.base import uncompiled as cython

__all__ = ["Empty", "GivenUp", "Job", "JobQueue", "Place", "let_leave"]

logger = logging.getLogger("torana.error")


class GivenUp(BaseException):
    """Raised by the job of a thread that ``ThreadPool.give_up`` was called for meanwhile: the thread ends."""


class Job(Answerer):
    """What the queue holds."""

    def __init__(self) -> None:
        #: Its place in the order of all jobs put.
        self.number = 0

    def run(self) -> Sender | None:
        """Do it, on a thread; must not raise. Whoever is returned is to ``leave``, now or a moment later."""
        raise NotImplementedError


class Place:
    """Where one thread sleeps, and what it keeps to send; made once a thread."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.lock.acquire()
        self.burst = Burst()
        #: Jobs finished; only its thread counts.
        self.done = 0


class JobQueue:
    """``put`` from any thread; ``get`` from threads that each bring their own ``Place``."""

    def __init__(self) -> None:
        self._jobs: deque[Any] = deque()
        self._append = self._jobs.append
        self._take = self._jobs.popleft
        #: Places of sleeping threads, the last one to fall asleep is the first to be woken: its caches are warm.
        self._sleeping: list[Place] = []
        self._is_waking = False
        #: Has ``let_leave(burst)`` called soon on another thread, in case the next job holds ours up; None while nobody
        #: can do that, and nothing may be kept.
        self.see_to: Callable[[Burst], None] | None = None
        #: While the loop's thread stands still: what a thread without a job asks for the lead (``lead.py``).
        self.lead: Any = None

    def put(self, job: Any) -> None:
        """Add a job."""
        # The job first, then the look at who is awake; a thread does these two in the other order.
        self._append(job)
        if not self._is_waking and self.lead is None:
            self._wake()

    def wake_one(self) -> None:
        """Wake a thread if there is a job for it."""
        if self._jobs and not self._is_waking:
            self._wake()

    def work(self, place: Place, timeout_s: float | None) -> None:
        """Do one job after the other, the oldest first, until one is None or none comes for ``timeout_s``.

        Raises ``GivenUp`` if a job does.
        """
        # A call for each: while it waits, a thread keeps nothing alive.
        while self._do_next(place, timeout_s):
            pass

    def _do_next(self, place: Place, timeout_s: float | None) -> bool:
        try:
            job = self.get(place, timeout_s)
        except Empty:
            return False
        if job is None:
            return False
        try:
            item = job.run()
        except GivenUp:
            raise
        except BaseException:
            logger.exception("A job of %s failed", threading.current_thread().name)
            item = None
        place.done += 1
        if item is not None:
            self.keep(place, item)
        return True

    def get(self, place: Place, timeout_s: float | None) -> Any:
        """The oldest job, waiting for one; raises ``Empty`` after ``timeout_s`` (None: never)."""
        while True:
            if self._jobs:
                try:
                    job = self._take()
                except IndexError:
                    # Another thread was quicker.
                    continue
                if self._jobs and not self._is_waking and self.lead is None:
                    self._wake()
                return job
            lead = self.lead
            if lead is None or not lead.take(place):
                self._sleep(place, timeout_s)

    def keep(self, place: Place, item: Sender) -> None:
        """Call ``item.leave()``: now if no job waits or nothing is to be sent, else together with those of the next
        jobs if these are quick.
        """
        if not item.has_kept():
            # A large answer has gone: its client may ask again, and finds the connection free if it is at once.
            _leave(item)
            return
        burst = place.burst
        see_to = self.see_to
        now = _monotonic() if cython.compiled else time.monotonic()
        if not burst.takes(now) or not self._jobs or see_to is None:
            let_leave(burst)
            _leave(item)
            return
        if burst.is_due(now):
            let_leave(burst)
        if burst.add(item, now):
            see_to(burst)

    def get_nowait(self) -> Any:
        """The oldest job; raises ``Empty`` when there is none."""
        try:
            return self._take()
        except IndexError:
            raise Empty from None

    def qsize(self) -> int:
        """Jobs that nobody has taken."""
        return len(self._jobs)

    def sleeping(self) -> int:
        """Threads that wait for a job."""
        return len(self._sleeping)

    def _wake(self) -> None:
        try:
            place = self._sleeping.pop()
        except IndexError:
            return
        self._is_waking = True
        place.lock.release()

    def _sleep(self, place: Place, timeout_s: float | None) -> None:
        let_leave(place.burst)
        self._sleeping.append(place)
        if self._jobs and self._leave(place):
            return
        if not place.lock.acquire(timeout=-1 if timeout_s is None else timeout_s):
            if self._leave(place):
                raise Empty
            # Somebody is waking us at this moment.
            place.lock.acquire()
        self._is_waking = False

    def _leave(self, place: Place) -> bool:
        """Take ourselves off the list of sleepers; False when a waker has done so already."""
        try:
            self._sleeping.remove(place)
        except ValueError:
            return False
        return True


def let_leave(burst: Burst) -> None:
    """End a burst; from any thread."""
    item = burst.pop()
    while item is not None:
        _leave(item)
        item = burst.pop()


def _leave(item: Sender) -> None:
    try:
        item.leave()
    except BaseException:
        logger.exception("What a job had to send could not be sent")
