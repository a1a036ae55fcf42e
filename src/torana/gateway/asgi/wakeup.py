"""A future written by hand: one task waits for it, and goes on at the very moment when it is woken.

A future of asyncio has its task go on in the loop's next turn, by way of a handle that costs more than the rest of a
short message. This one makes the task's step at once where that is lawful (no other task is at its step), and in the
loop's next turn where not. Tasks of asyncio take whatever has ``_asyncio_future_blocking`` for a future; loops of
others (uvloop) run the same tasks. Never here: what is waited for.
"""

from __future__ import annotations

import asyncio
import sys
from contextvars import Context, copy_context
from typing import Any

if sys.version_info >= (3, 12):
    _current_task = asyncio.current_task
else:
    # There it is a function in Python around this dict, and costs as much as the rest of a wake-up.
    _current_task = getattr(asyncio.tasks, "_current_tasks").get  # noqa: B009


class Wakeup:
    """Done without a value at ``wake``, or cancelled; for one waiting task."""

    def __init__(self, loop: Any) -> None:
        self.begin(loop)

    def begin(self, loop: Any) -> None:
        """What ``__init__`` does, for ``new_wakeup``."""
        #: Set by whoever yields this to a task, which takes it back: "I mean to wait".
        self._asyncio_future_blocking = True
        self._loop = loop
        self._callback: Any = None
        self._context: Context | None = None
        self._is_done = False
        self._is_cancelled = False
        self._is_read = False
        self._message: Any = None

    def wake(self) -> None:
        """Have the task go on; nothing when it does already."""
        if self._is_done:
            return
        self._is_done = True
        callback = self._callback
        if callback is None:
            return
        self._callback = None
        if _current_task(self._loop) is not None:
            self._loop.call_soon(callback, self, context=self._context)
            return
        assert self._context is not None
        try:
            self._context.run(callback, self)
        except BaseException as error:
            if self._is_read:
                # Out of a task come only those that end a loop: the loop shall have it, not whoever woke us.
                self._loop.call_soon(_end_loop, error)
            else:
                # Its context is entered already: the step was not begun.
                self._loop.call_soon(callback, self, context=self._context)

    def wake_soon(self) -> None:
        """The same, in the loop's next turn."""
        if not self._is_done:
            self._is_done = True
            self._call_soon()

    # What a task asks of a future

    def get_loop(self) -> Any:
        """The loop of the task that may wait."""
        return self._loop

    def add_done_callback(self, callback: Any, *, context: Context | None = None) -> None:
        """Have ``callback(self)`` called at the wake-up; there can be one."""
        if self._callback is not None:
            raise RuntimeError("somebody waits already")
        self._callback = callback
        self._context = copy_context() if context is None else context
        if self._is_done:
            self._call_soon()

    def remove_done_callback(self, callback: Any) -> int:
        """Forget the callback; how many were forgotten."""
        if self._callback is None or self._callback != callback:
            return 0
        self._callback = None
        return 1

    def cancel(self, msg: Any = None) -> bool:
        """Have the task go on with ``CancelledError``, in the loop's next turn; False when it goes on already."""
        if self._is_done:
            return False
        self._is_done = True
        self._is_cancelled = True
        self._message = msg
        self._call_soon()
        return True

    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._is_cancelled

    def done(self) -> bool:
        """Whether it was woken or cancelled."""
        return self._is_done

    def result(self) -> None:
        """None, ``CancelledError``, or ``InvalidStateError`` while it waits."""
        self._is_read = True
        if self._is_cancelled:
            raise asyncio.CancelledError(*(() if self._message is None else (self._message,)))
        if not self._is_done:
            raise asyncio.InvalidStateError("not woken yet")

    def exception(self) -> None:
        """As ``result``: there is never another exception."""
        self.result()

    def _call_soon(self) -> None:
        callback = self._callback
        if callback is not None:
            self._callback = None
            self._loop.call_soon(callback, self, context=self._context)


def new_wakeup(loop: Any) -> Wakeup:
    """``Wakeup(...)``, without the cost of a call through the type."""
    made = Wakeup.__new__(Wakeup)
    made.begin(loop)
    return made


def _end_loop(error: BaseException) -> None:
    raise error
