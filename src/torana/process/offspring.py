"""What children that the application forks shall not have of their worker: its sockets and its handlers of signals.

Such a child would keep the port and leave clients waiting for the end of their connections, and a signal meant for it
would wake the worker's event loop. Programs that a worker executes have none of this: all is closed on exec.
Never here: which sockets there are.
"""

from __future__ import annotations

import contextlib
import os
import signal
import weakref
from typing import Protocol

#: What the event loop hears, and what ends a process by default.
_OURS = ("SIGTERM", "SIGQUIT")


class Owner(Protocol):
    """Who has sockets."""

    def forsake(self) -> None:
        """In a child: close the copies of what is the parent's, and tell nobody."""


def let_go_in_children(owner: Owner) -> None:
    """Have children forsake what is the owner's, and obey signals again, as long as the owner exists."""
    if not hasattr(os, "register_at_fork"):
        return
    reference: weakref.ref[Owner] | None = weakref.ref(owner)

    def let_go() -> None:
        # Once, so that a child's own children keep what it has set up since.
        nonlocal reference
        parent, reference = None if reference is None else reference(), None
        if parent is not None:
            _obey_signals()
            parent.forsake()

    os.register_at_fork(after_in_child=let_go)


def _obey_signals() -> None:
    with contextlib.suppress(ValueError, OSError):
        # Not ours to hear: a byte written there is read by the worker.
        signal.set_wakeup_fd(-1)
        for name in _OURS:
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_DFL)
