"""An awaitable that is already done: what ``send()`` and ``receive()`` give when they need not wait.

It is a coroutine in the sense of ``collections.abc.Coroutine``, because applications pass such results to
``create_task``; awaiting it never suspends and makes no coroutine frame.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any


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
        if value is None:
            value = kind() if isinstance(kind, type) else kind
        raise value.with_traceback(traceback) if traceback is not None else value

    def close(self) -> None:
        """Nothing is left to close."""


Coroutine.register(Ready)

#: For everything that finishes without a value; it has no state, so one serves all.
DONE = Ready(None)
