"""Room for signals that come upon each other.

``faulthandler`` has all handlers of a process run on a stack of its own, so that it can still speak when the ordinary
one is used up. CPython gives it 8 KiB and one frame; a frame takes 3 KiB and more, and signals that arrive together run
one upon the other: the fourth ends the process. Never here: handlers.
"""

from __future__ import annotations

import mmap
import sys
from typing import Any

#: Frames are up to 12 KiB (AMX); there is room for ten of them, and only what is used takes memory.
_BYTES = 128 * 1024
#: The stack must live as long as the process.
_kept: list[Any] = []


def widen_signal_stack() -> None:
    """Give the calling thread a wide signal stack, if that can be done here; call it after ``faulthandler.enable``."""
    if sys.platform != "linux":
        return
    try:
        import ctypes  # the supervisor has it already
    except ImportError:
        return

    class Stack(ctypes.Structure):
        """``stack_t`` of Linux (sigaltstack(2))."""

        _fields_ = (("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))

    # Private: a child of ours has one of its own.
    memory = mmap.mmap(-1, _BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    if ctypes.CDLL(None).sigaltstack(ctypes.byref(Stack(start, 0, _BYTES)), None) == 0:
        _kept.append(memory)
