"""What a thread that answers on a stream has to say: kept in order until the loop says it for it.

The wire is never touched from a thread. One thread adds, the loop takes; each counts only what is its own, so no lock
is needed for that. Never here: what is said.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

#: Bytes that may wait here before the thread has to.
_MOST_BYTES = 64 * 1024


class Loan:
    """The thread's acts, as tuples; the first element says which."""

    def __init__(self) -> None:
        #: The loop was told that there are acts.
        self.is_posted = False
        self._acts: deque[tuple[Any, ...]] = deque()
        self._added = 0
        self._taken = 0
        self._room: threading.Event | None = None

    # On the thread

    def add(self, act: tuple[Any, ...], size: int) -> None:
        """Add an act with ``size`` bytes of body."""
        self._added += size
        self._acts.append(act)

    def is_full(self) -> bool:
        """Whether the loop should say something before more is added."""
        return self._added - self._taken >= _MOST_BYTES

    def begin_to_wait(self) -> None:
        """Before the last look at whether there is room: what happens after it ends the wait."""
        if self._room is None:
            self._room = threading.Event()
        self._room.clear()

    def wait(self) -> None:
        """Block until ``tell``."""
        room = self._room
        assert room is not None
        room.wait()

    # On the loop

    def take(self) -> tuple[Any, ...] | None:
        """The oldest act, or None."""
        return self._acts.popleft() if self._acts else None

    def count(self, size: int) -> None:
        """``size`` bytes of acts that were taken have been handed on."""
        self._taken += size

    def tell(self) -> None:
        """Something has changed for a thread that waits."""
        if self._room is not None:
            self._room.set()


def new_loan() -> Loan:
    """``Loan()``, without the cost of a call through the type."""
    made = Loan.__new__(Loan)
    made.is_posted = False
    made._acts = deque()
    made._added = 0
    made._taken = 0
    made._room = None
    return made
