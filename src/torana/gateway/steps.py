"""A coroutine written by hand: a task drives it, and it drives the application's own coroutine.

It does what ``async def run(): try: await app(...) finally: ...`` would do, in the object that exists for a call
anyway, so that no frame and no closure is made for the wrapping. Never here: what an application is called with, what
its end means; both are the two methods that a call overrides.
"""

from __future__ import annotations

from collections.abc import Coroutine
from types import CoroutineType
from typing import Any

from torana.exchange.roles import Answerer

try:
    import cython
except ImportError:
    from torana.base import uncompiled as cython

#: What a step gives when there is no further one.
_OVER = object()
#: What a step that was made ahead gave, where it only wanted a turn of the loop (a bare ``yield``).
_TURN = object()


class Steps(Answerer):
    """Give it to a task once."""

    def __init__(self) -> None:
        self._inner: Any = None
        #: What the application's coroutine returned, in the compiled build.
        self._result: Any = None
        #: What the step gave that was made before the task's first (``go_ahead``), until the task takes it.
        self._ahead: Any = None

    # What a call says

    def _call(self) -> Any:
        """Call the application; what it returns is awaited."""
        raise NotImplementedError

    def _ended(self, error: BaseException | None, result: Any) -> BaseException | None:
        """The application is done: it raised ``error``, or returned ``result``. What the task ends with, or None."""
        raise NotImplementedError

    # The protocol of coroutines

    def __await__(self) -> Steps:
        return self

    def __iter__(self) -> Steps:
        return self

    def __next__(self) -> Any:
        yielded = self._step(None) if self._ahead is None else self._take(None)
        if yielded is _OVER:
            # Bare, because compiled this then costs no exception object.
            raise StopIteration
        return yielded

    def send(self, _: Any) -> Any:
        """One step; what is sent is not looked at, as futures send nothing."""
        return self.__next__()

    def throw(self, kind: Any, value: Any = None, traceback: Any = None) -> Any:
        """One step, with an exception at the place where the application waits."""
        error = value if value is not None else kind() if isinstance(kind, type) else kind
        if traceback is not None:
            error = error.with_traceback(traceback)
        yielded = self._step(error) if self._ahead is None else self._take(error)
        if yielded is _OVER:
            raise StopIteration
        return yielded

    def close(self) -> None:
        """Close the application's coroutine."""
        if self._inner is not None:
            self._inner.close()

    # The step before the task's first

    def go_ahead(self) -> bool:
        """Make the first step before there is a task for it, which then finds it made; whether it was the last."""
        try:
            yielded = self._step(None)
        except BaseException as ending:
            self._ahead = ending
            return True
        self._ahead = _TURN if yielded is None else yielded
        if yielded is _OVER:
            return True
        if getattr(yielded, "_asyncio_future_blocking", False):
            # "I mean to wait": said again when the task takes it, for until then others may wait for the same future.
            yielded._asyncio_future_blocking = False
        return False

    def _take(self, error: BaseException | None) -> Any:
        """The task's first step, after ``go_ahead``."""
        ahead = self._ahead
        self._ahead = None
        if ahead is _OVER:
            return ahead
        if isinstance(ahead, BaseException):
            raise ahead
        if ahead is _TURN:
            return self._step(error)
        if getattr(ahead, "_asyncio_future_blocking", None) is not None:
            if error is not None and not ahead.cancel(*error.args):
                return self._step(error)
            ahead._asyncio_future_blocking = True
        return ahead

    def _step(self, error: BaseException | None) -> Any:
        result = None
        try:
            if self._inner is None:
                if error is not None:
                    raise error
                self._inner = _steps_of(self._call())
            if error is not None:
                return self._inner.throw(error)
            if cython.compiled:
                yielded = _send_none(self, _OVER)
                if yielded is not _OVER:
                    return yielded
                result, self._result = self._result, None
            else:
                return self._inner.send(None)
        except StopIteration as stop:
            result = stop.value
        except BaseException as raised:
            # SystemExit and KeyboardInterrupt too: raised in a task they would end the worker.
            ending = self._ended(raised, None)
            if ending is None:
                return _OVER
            raise ending from None
        self._ended(None, result)
        return _OVER

    # What debuggers and dumps ask a coroutine

    @property
    def cr_frame(self) -> Any:
        return getattr(self._inner, "cr_frame", None)

    @property
    def cr_await(self) -> Any:
        return getattr(self._inner, "cr_await", None)

    @property
    def cr_running(self) -> bool:
        return bool(getattr(self._inner, "cr_running", False))

    @property
    def cr_code(self) -> Any:
        return getattr(self._inner, "cr_code", None)


def _steps_of(awaitable: Any) -> Any:
    """The iterator behind an awaitable; a coroutine is its own."""
    if type(awaitable) is CoroutineType or isinstance(awaitable, Coroutine):
        return awaitable
    try:
        return type(awaitable).__await__(awaitable)
    except AttributeError:
        raise TypeError(f"the application returned {type(awaitable).__name__}, which cannot be awaited") from None


Coroutine.register(Steps)
