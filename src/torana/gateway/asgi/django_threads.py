"""Threads for what Django's ASGI handler calls synchronously: kept for the next requests, where Django makes them anew.

Django's handler enters a ``ThreadSensitiveContext`` for each request, so that all of a request that is synchronous (a
view, middleware, what its signals call) runs in one thread, and a database connection with it. asgiref makes that
thread for the request, ends it afterwards, and makes another one that waits for this end. Here the handler enters a
context that borrows the thread of an earlier request. All else is asgiref's: a thread for each request, calls in order.
Never here: what runs in them.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

_log = logging.getLogger("torana")

#: Where Django's handler finds the class of its context.
_HANDLER = "django.core.handlers.asgi"
_CONTEXT = "ThreadSensitiveContext"

#: As many threads wait for requests at most, each for so long: with it may wait a connection to a database.
_MOST_IDLE = 64
_IDLE_S = 5.0


class OneThread(ThreadPoolExecutor):
    """One thread, from its first call on."""

    def __init__(self) -> None:
        super().__init__(max_workers=1, thread_name_prefix="torana-django")
        self._calls: list[Future[Any]] = []
        #: When it was given back (monotonic seconds).
        self.idle_since = 0.0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        call = super().submit(fn, *args, **kwargs)
        self._calls = [*(each for each in self._calls if not each.done()), call]
        return call

    def is_idle(self) -> bool:
        """Whether all calls are over; their results are not kept then."""
        # Not the last alone: one that waited may have been cancelled while the one before it runs on.
        self._calls = [each for each in self._calls if not each.done()]
        return not self._calls


class Threads:
    """Threads without a request; the one that came back last is the first to go, the others may end."""

    def __init__(self, most_idle: int = _MOST_IDLE, idle_s: float = _IDLE_S) -> None:
        self._most_idle = most_idle
        self._idle_s = idle_s
        self._idle: deque[OneThread] = deque()
        #: Where their end is awaited.
        self._loop: asyncio.AbstractEventLoop | None = None

    def __len__(self) -> int:
        return len(self._idle)

    def borrow(self) -> OneThread:
        """A thread that does nothing, or that is not there yet."""
        try:
            return self._idle.pop()
        except IndexError:
            return OneThread()

    def give_back(self, thread: OneThread) -> None:
        """Keep it for others; on a running loop. One that is not done, as its caller has left, is nobody's any more."""
        if not thread.is_idle() or len(self._idle) >= self._most_idle:
            thread.shutdown(wait=False)
            return
        thread.idle_since = time.monotonic()
        self._idle.append(thread)
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # Of several servers of one program one may have ended, and its loop with it.
            self._loop = loop
            loop.call_later(self._idle_s, self._let_go)

    def _let_go(self) -> None:
        """End those that have waited long enough."""
        now = time.monotonic()
        while self._idle and now - self._idle[0].idle_since >= self._idle_s:
            self._idle.popleft().shutdown(wait=False)
        self._loop = asyncio.get_running_loop() if self._idle else None
        if self._loop is not None:
            self._loop.call_later(max(0.0, self._idle[0].idle_since + self._idle_s - now), self._let_go)


def keep_threads() -> Threads | None:
    """Let Django's ASGI handler borrow threads, if it is loaded; None if it is not, or not as we know it."""
    module = sys.modules.get(_HANDLER)
    made = getattr(module, _CONTEXT, None)
    if made is None:
        return None
    found: Threads | None = getattr(made, "torana_threads", None)
    if found is not None:
        return found
    from asgiref import sync

    executors = getattr(sync.SyncToAsync, "context_to_thread_executor", None)
    if made is not sync.ThreadSensitiveContext or executors is None:
        _log.debug("Django's threads are Django's: its handler is not as we know it")
        return None
    threads = Threads()
    setattr(module, _CONTEXT, _borrowing(sync.ThreadSensitiveContext, executors, threads))
    return threads


def _borrowing(context: Any, executors: Any, threads: Threads) -> Any:
    class BorrowingContext(context):  # type: ignore[misc]
        """asgiref's, with a thread that was there before."""

        torana_threads = threads

        async def __aenter__(self) -> Any:
            entered = await super().__aenter__()
            if self.token:
                # The outermost.
                executors[self] = threads.borrow()
            return entered

        async def __aexit__(self, *error: Any) -> Any:
            thread = executors.pop(self, None) if self.token else None
            try:
                # Finds no thread that it had to end.
                return await super().__aexit__(*error)
            finally:
                if thread is not None:
                    threads.give_back(thread)

    return BorrowingContext
