"""Signals as events that are read when there is time for them, with the process that sent them where that is known.

The signals are held back (blocked) from the first moment, so that none is lost and none interrupts; on Linux a
signalfd then hands them out one by one. Elsewhere Python's handlers leave their numbers in a socket, without a sender.
Never here: what a signal means.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any

from msgspec import Struct

#: ``struct signalfd_siginfo`` (signalfd(2)): signo, errno, code, pid, and what we do not read, 128 bytes in all.
_SIGINFO = struct.Struct("=IiiI112x")
#: ``si_code`` of signals that the kernel sends by itself: a terminal that is resized or closed.
_SI_KERNEL = 0x80
#: Most signals taken at a time.
_BATCH = 32


class Heard(Struct, frozen=True):
    """One signal. ``sender`` is a process id; 0 if the kernel sent it or the sender is not known."""

    number: int
    sender: int = 0
    #: Whether the kernel sent it for a terminal; None where that is not known.
    is_from_terminal: bool | None = None


class Inbox:
    """Holds signals back until they are taken. Make it before anything that a signal may not disturb.

    ``release`` gives a forked child its signals back; ``close`` ends it in the process that made it.
    """

    def __init__(self, names: Iterable[str], *, has_signalfd: bool = sys.platform == "linux") -> None:
        self.numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
        #: Signals that were ignored when we started (nohup does so with HUP).
        self.ignored = frozenset(number for number in self.numbers if signal.getsignal(number) == signal.SIG_IGN)
        if signal.SIGCHLD in self.ignored:
            # Inherited from whoever started us; the kernel would bury children without telling how they died.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_BLOCK, self.numbers)
        self._has_signalfd = has_signalfd
        self._fd = -1
        self._ends: tuple[socket.socket, socket.socket] | None = None
        self._handlers: dict[int, Any] = {}

    def open(self) -> None:
        """Begin to hand signals out; those that came before are not lost. Raises ``OSError``."""
        if self._has_signalfd:
            with contextlib.suppress(ImportError, AttributeError):
                self._fd = _signalfd(self.numbers)
                return
        self._ends = ours, theirs = socket.socketpair()
        for end in self._ends:
            end.setblocking(False)
        self._fd = ours.fileno()
        signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        self._handlers = {number: signal.signal(number, _heard_already) for number in self.numbers}
        self.release()

    def fileno(self) -> int:
        """Readable when a signal came."""
        return self._fd

    def take(self) -> list[Heard]:
        """The signals that came since the last call, in the kernel's order."""
        try:
            if self._ends is not None:
                return [Heard(number) for number in self._ends[0].recv(_BATCH)]
            told = os.read(self._fd, _SIGINFO.size * _BATCH)
        except (BlockingIOError, InterruptedError):
            return []
        return [Heard(number, pid, code == _SI_KERNEL) for number, _, code, pid in _SIGINFO.iter_unpack(told)]

    def forget(self) -> None:
        """In a forked child: close our copy and hear nothing; the signals stay held back until ``release``."""
        self._put_away()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold signals back around a fork: one meant for the child may not write into what it shares with us."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, self.numbers)
        pid = os.getpid()
        try:
            yield
        finally:
            if os.getpid() == pid:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def release(self) -> None:
        """Let signals through to this process, to whatever handlers it has by now."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self.numbers)

    def close(self) -> None:
        """Hand out no more. TERM and INT are ignored from now on, lest they cut what still has to be put away."""
        for number in {signal.SIGTERM, signal.SIGINT} & set(self.numbers):
            self._handlers[number] = signal.SIG_IGN
        self._put_away()
        self.release()

    def _put_away(self) -> None:
        if self._ends is not None:
            signal.set_wakeup_fd(-1)
        for number, handler in self._handlers.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._handlers = {}
        if self._ends is not None:
            for end in self._ends:
                end.close()
            self._ends = None
        elif self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


def _heard_already(number: int, frame: FrameType | None) -> None:
    """The wakeup descriptor has told already."""


def _signalfd(numbers: Iterable[int]) -> int:
    """A descriptor from which held-back signals can be read (signalfd(2)); raises ``OSError``."""
    import ctypes  # four milliseconds, and only here

    libc = ctypes.CDLL(None, use_errno=True)
    mask = ctypes.create_string_buffer(128)  # sigset_t of glibc and musl
    libc.sigemptyset(mask)
    for number in numbers:
        libc.sigaddset(mask, number)
    fd: int = libc.signalfd(-1, mask, os.O_NONBLOCK | os.O_CLOEXEC)
    if fd < 0:
        error = ctypes.get_errno()
        if error in (errno.ENOSYS, errno.EINVAL):
            raise ImportError("this kernel has no signalfd")
        raise OSError(error, os.strerror(error))
    return fd
