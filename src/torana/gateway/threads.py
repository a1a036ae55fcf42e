"""Threads that take jobs from one queue: few while a few are enough, more when jobs have to wait, up to a bound.

What jobs in quick succession have to send leaves together (``base/burst``); while their thread is held up by a slow
one, somebody else sees to it.
Whoever takes a job from the queue owns it; nothing else is locked. Never here: what jobs do, when more threads are due.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from torana.base.burst import Burst
from torana.gateway.jobs import Empty, GivenUp, JobQueue, Place, let_leave

logger = logging.getLogger("torana.error")

#: A thread beyond the first ones ends after this time without a job.
_IDLE_S = 30.0


def default_threads() -> int:
    """min(32, 4 + 2 x CPU), counting the CPUs this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    cpus = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    return min(32, 4 + 2 * cpus)


class ThreadPool:
    """Between ``core`` and ``most`` threads; ``start``, ``grow`` and ``overdue`` are for the loop's thread."""

    def __init__(self, most: int, core: int = 1, idle_s: float = _IDLE_S, name: str = "torana-wsgi") -> None:
        self.most = most
        self._core = min(core, most)
        self._idle_s = idle_s
        self._name = name
        #: Where jobs are put.
        self.queue = JobQueue()
        self._lock = threading.Lock()
        self._workers: list[_Worker] = []
        self._made = 0
        self._done_before = 0
        self._given_up = 0
        self._is_stopping = False
        # (time, jobs put by then), the oldest first; one a tick.
        self._marks: deque[tuple[float, int]] = deque()

    def put(self, job: Any) -> None:
        """Add a job."""
        self.queue.put(job)

    def start(self) -> None:
        """Start the first threads; ``RuntimeError`` when the system gives not even one."""
        self.grow(self._core - len(self._workers))
        if not self._workers:
            raise RuntimeError("no thread could be started")

    def grow(self, count: int) -> int:
        """Start up to ``count`` more threads, within the bound; returns how many were started."""
        started = 0
        with self._lock:
            while started < count and len(self._workers) < self.most and not self._is_stopping:
                self._made += 1
                worker = _Worker(self, f"{self._name}-{self._made}", len(self._workers) < self._core)
                try:
                    worker.start()
                except (RuntimeError, MemoryError):
                    # Fewer threads do the same work more slowly; the next tick tries again.
                    logger.warning("The system gives no more threads; %d serve on", len(self._workers))
                    break
                self._workers.append(worker)
                started += 1
        return started

    def grow_if_waiting(self) -> int:
        """Twice as many threads, but no more than there are jobs waiting."""
        return self.grow(min(self.waiting(), max(1, len(self._workers))))

    def is_full(self) -> bool:
        """Whether there are as many threads as may be."""
        return len(self._workers) >= self.most

    def size(self) -> int:
        """How many threads there are."""
        return len(self._workers)

    def awake(self) -> int:
        """Threads that have a job, or are about to take one."""
        return len(self._workers) - self.queue.sleeping()

    def waiting(self) -> int:
        """Jobs that no thread has taken."""
        return self.queue.qsize()

    def done(self) -> int:
        """Jobs that threads have finished."""
        with self._lock:
            return self._done_before + sum(worker.place.done for worker in self._workers)

    def overdue(self, now_s: float, put: int, timeout_s: float) -> list[Any]:
        """Take out of the queue what has waited ``timeout_s`` or longer (0: nothing), the oldest first.

        ``put``: how many jobs were put so far. Called about once a second; the time of a job is known to that grain,
        and costs the job nothing: the queue keeps order, so counting tells which jobs are in it.
        """
        if timeout_s <= 0:
            return []
        marks = self._marks
        first = 0
        while marks and marks[0][0] <= now_s - timeout_s:
            first = marks.popleft()[1]
        if first:
            # Jobs below this number stay overdue until a later mark says more.
            marks.appendleft((now_s - timeout_s, first))
        marks.append((now_s, put))
        taken: list[Any] = []
        while first > put - self.waiting():
            try:
                job = self.queue.get_nowait()
            except Empty:
                break
            if job is None or job.number >= first:
                # Threads were quicker; this one is not overdue and goes back.
                self.put(job)
                break
            taken.append(job)
        return taken

    def stop(self) -> None:
        """Let each thread end when it has done what was put before this."""
        with self._lock:
            self._is_stopping = True
            count = len(self._workers)
        for _ in range(count):
            self.put(None)

    def give_up(self, ident: int) -> bool:
        """Count a thread no more that does not come back from its job, so that another may take its place.

        False when it is none of ours, or when so many are given up already that more would only be lost too. Should it
        come back, its job must raise ``GivenUp``.
        """
        with self._lock:
            worker = next((worker for worker in self._workers if worker.ident == ident), None)
            if worker is None or self._given_up >= self.most:
                return False
            self._workers.remove(worker)
            self._given_up += 1
            self._done_before += worker.place.done + 1
            return True

    def idents(self) -> list[int]:
        """The threads, as ``sys._current_frames`` knows them."""
        with self._lock:
            return [worker.ident for worker in self._workers if worker.ident is not None]

    def alive(self) -> list[str]:
        """Names of the threads that have not ended."""
        with self._lock:
            workers = list(self._workers)
        return [worker.name for worker in workers if worker.is_alive()]

    def share(self, see_to: Callable[[Burst], None] | None) -> None:
        """Let answers of quick jobs leave together, with ``see_to`` (see ``JobQueue``); None ends that."""
        self.queue.see_to = see_to

    def _work(self, worker: _Worker) -> None:
        place = worker.place
        timeout_s = None if worker.is_core else self._idle_s
        with contextlib.suppress(GivenUp):
            self.queue.work(place, timeout_s)
        let_leave(place.burst)
        with self._lock:
            if worker in self._workers:
                self._done_before += place.done
                self._workers.remove(worker)
            else:
                self._given_up -= 1


class _Worker(threading.Thread):
    # Daemons: one that hangs in an application must not keep the process from ending.
    def __init__(self, pool: ThreadPool, name: str, is_core: bool) -> None:
        super().__init__(name=name, daemon=True)
        self._pool = pool
        self.is_core = is_core
        self.place = Place()

    def run(self) -> None:
        self._pool._work(self)
