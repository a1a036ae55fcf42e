"""The awaitable of an event that has yet to come: what ``receive()`` gives when it must wait.

A coroutine written by hand (see ``ready``) over a future written by hand (see ``wakeup``): waiting for a message costs
neither a frame nor a turn of the loop. Never here: what an event says, who brings it.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from torana.gateway.asgi.wakeup import Wakeup, new_wakeup
from torana.gateway.steps import Steps

try:
    import cython
except ImportError:
    from torana.base import uncompiled as cython


class Source(Steps):
    """A call whose events may be waited for, by any number of tasks."""

    def __init__(self, loop: Any) -> None:
        self._inner: Any = None
        self._ahead: Any = None
        self._loop = loop
        self._waiting: list[Wakeup] = []

    def next_event(self) -> dict[str, Any] | None:
        """Take the next event, or None when it has yet to come."""
        raise NotImplementedError

    def wake(self) -> None:
        """Something has happened: all that wait look again, at once where that is lawful.

        Whatever the application does then it does within this call, its end included.
        """
        waiting = self._waiting
        if len(waiting) == 1:
            each = waiting.pop()
            each.wake()
        elif waiting:
            self._waiting = []
            for each in waiting:
                each.wake()

    def wake_soon(self) -> None:
        """The same, in the loop's next turn."""
        waiting = self._waiting
        self._waiting = []
        for each in waiting:
            each.wake_soon()

    def wakeup(self) -> Wakeup:
        """A future that is done when something has happened."""
        waiting = self._waiting
        # Whoever asks again and again, and gives up each time, leaves one behind and not thousands.
        while waiting and waiting[len(waiting) - 1].done():
            waiting.pop()
        made = new_wakeup(self._loop)
        waiting.append(made)
        return made


@cython.freelist(64)
@cython.cclass
class Arrival:
    """Finishes with the source's next event. It is taken at that moment, so cancelling before loses nothing."""

    def __init__(self, source: Source) -> None:
        self.begin(source)

    def begin(self, source: Source) -> None:
        """What ``__init__`` does, for ``new_arrival``."""
        self._source = source
        self._is_over = False

    def __await__(self) -> Arrival:
        return self

    def __iter__(self) -> Arrival:
        return self

    def __next__(self) -> Any:
        yielded = self.step()
        if type(yielded) is Wakeup:
            return yielded
        raise StopIteration(yielded)

    def step(self) -> Any:
        """The event, or what to wait for until there may be one."""
        if self._is_over:
            raise RuntimeError("cannot reuse already awaited coroutine")
        event = self._source.next_event()
        if event is not None:
            self._is_over = True
            return event
        return self._source.wakeup()

    def send(self, _: Any) -> Any:
        """One step; what is sent is not looked at, as futures send nothing."""
        return self.__next__()

    def throw(self, kind: Any, value: Any = None, traceback: Any = None) -> Any:
        """Give up: there is nobody inside who could do anything else with an exception."""
        self._is_over = True
        error = value if value is not None else kind() if isinstance(kind, type) else kind
        raise error if traceback is None else error.with_traceback(traceback)

    def close(self) -> None:
        """Give up."""
        self._is_over = True


def new_arrival(source: Source) -> Arrival:
    """``Arrival(...)``, without the cost of a call through the type."""
    made = Arrival.__new__(Arrival)
    made.begin(source)
    return made


Coroutine.register(Arrival)

if cython.compiled:
    _end_without_traceback()
