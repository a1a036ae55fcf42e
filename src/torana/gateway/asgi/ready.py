"""An awaitable that is already done: what ``send()`` and ``receive()`` give when they need not wait.

It is a coroutine in the sense of ``collections.abc.Coroutine``, because applications pass such results to
``create_task``; awaiting it never suspends and makes no coroutine frame.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

try:
    import cython
except ImportError:
    from torana.base import uncompiled as cython


class Done:
    """Finishes at once, without a value. Stateless: one instance serves all."""

    def __await__(self) -> Done:
        return self

    def __iter__(self) -> Done:
        return self

    def __next__(self) -> Any:
        # Bare, because compiled this then costs no exception object.
        raise StopIteration

    def send(self, _: Any) -> Any:
        raise StopIteration

    def throw(self, kind: Any, value: Any = None, traceback: Any = None) -> Any:
        """Raise into the (finished) coroutine, as ``Task.cancel`` before the first step does."""
        _throw(kind, value, traceback)

    def close(self) -> None:
        """Nothing is left to close."""


@cython.freelist(64)
@cython.cclass
class Ready:
    """Finishes at once with ``value``."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __await__(self) -> Ready:
        return self

    def __iter__(self) -> Ready:
        return self

    def __next__(self) -> Any:
        raise StopIteration(self.value)

    def send(self, _: Any) -> Any:
        raise StopIteration(self.value)

    def throw(self, kind: Any, value: Any = None, traceback: Any = None) -> Any:
        """Raise into the (finished) coroutine, as ``Task.cancel`` before the first step does."""
        _throw(kind, value, traceback)

    def close(self) -> None:
        """Nothing is left to close."""


def ready(value: Any) -> Ready:
    """``Ready(value)``, without the cost of a call through the type."""
    made = Ready.__new__(Ready)
    made.value = value
    return made


def _throw(kind: Any, value: Any, traceback: Any) -> None:
    if value is None:
        value = kind() if isinstance(kind, type) else kind
    raise value.with_traceback(traceback) if traceback is not None else value


Coroutine.register(Done)
Coroutine.register(Ready)

#: For everything that finishes without a value.
DONE = Done()

if cython.compiled:
    _end_without_traceback()
