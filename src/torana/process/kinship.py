"""What Linux does for parents and children: orphans find a new parent, and children hear of their parent's death.

Never here: forking, waiting.
"""

from __future__ import annotations

import ctypes
import os
import sys

#: prctl(2): the signal that a process gets when its parent ends; and that orphans below a process become its children.
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def adopt_orphans() -> bool:
    """Become the parent of every process below us that loses its own, as process 1 is of all; False if that cannot be.

    Children do not inherit this.
    """
    return _libc is not None and _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def end_with(parent: int, death_signal: int) -> bool:
    """Be sent a signal by the kernel when the parent ends (Linux; elsewhere nothing happens).

    False if it ended just before. To be called after a change of user, which makes the kernel forget it.
    """
    if _libc is None:
        return True
    _libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    return os.getppid() == parent
