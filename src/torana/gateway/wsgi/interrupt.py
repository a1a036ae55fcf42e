"""The exception that ends a call from outside, and the one way to raise it in a thread that is running.

CPython raises it when the thread next comes to a step of Python code: a thread that waits in C (``time.sleep``, a
socket without a timeout, a lock) hears of it only when that returns. Never here: which thread may be interrupted and
when (``deadline.py``, ``watch.py``).
"""

from __future__ import annotations

import logging
from types import FrameType

_SAYING = "the application took too long for this request (timeout_request)"
#: The code that takes the lock of a log handler; see ``is_spared``.
_LOGGING = logging.Handler.acquire.__code__.co_filename


class RequestTimeout(BaseException):
    """Raised in the thread of a WSGI call whose time is over.

    Not an ``Exception``: applications and frameworks answer those (``except Exception``) and would go on. What ends a
    piece of work from outside is a ``BaseException`` in CPython, as ``asyncio.CancelledError`` became one for this very
    reason, and ``KeyboardInterrupt``, ``SystemExit`` and ``GeneratorExit`` always were; ``finally`` and ``with`` clean
    up all the same.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(args or (_SAYING,)))


try:
    import ctypes

    _set_async_exc = ctypes.pythonapi.PyThreadState_SetAsyncExc
    _set_async_exc.argtypes = (ctypes.c_ulong, ctypes.py_object)
    _set_async_exc.restype = ctypes.c_int
    CAN_INTERRUPT = True
except (ImportError, AttributeError):
    # Not CPython, or built without ctypes: such a thread is not interrupted, only given up.
    CAN_INTERRUPT = False


def interrupt(ident: int) -> bool:
    """Raise ``RequestTimeout`` in a thread at its next step; whether there is such a thread."""
    return CAN_INTERRUPT and _set_async_exc(ident, RequestTimeout) == 1


def hear() -> None:
    """Raise what ``interrupt`` has sent to the calling thread and was not raised yet: to be called is a step.

    It cannot be taken back instead. CPython would go on looking for it, at each step of every thread; and 3.11, where
    it profiles or traces, would do nothing else any more.
    """


def is_spared(frame: FrameType | None) -> bool:
    """Whether a thread at ``frame`` is not to be interrupted now.

    Before Python 3.13 a log handler takes its lock in a way that leaves it locked, for every thread, if an exception
    comes in between; and so does the import system with a module's lock.
    """
    filename = "" if frame is None else frame.f_code.co_filename
    return filename == _LOGGING or filename.startswith("<frozen importlib")
