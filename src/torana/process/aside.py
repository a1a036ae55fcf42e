"""A process beside the workers, forked from the supervisor: a service about to be executed, or a hook to be run.

It leaves the supervisor's session and signals, becomes the user it is meant to be, ends when its parent ends, and never
returns into the supervisor's code. The supervisor has no threads, so a forked child may do what it likes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import stat
import sys
from collections.abc import Callable

from torana.process.kinship import end_with
from torana.process.privileges import become
from torana.process.spawn import STANDARD, fork, open_descriptors

logger = logging.getLogger("torana")

#: The exit code of a child that could not do what it was made for, as the shell has it.
NOT_RUN = 127
#: Signals that Python ignores and that a program expects to have their usual effect.
_IGNORED_BY_PYTHON = ("SIGPIPE", "SIGXFSZ")


def fork_aside(
    run: Callable[[], int], *, user: str | None = None, group: str | None = None, death_signal: int = signal.SIGKILL
) -> int:
    """Fork a child that calls ``run`` and exits with what it returns; its process id, also of its session and group.

    ``death_signal`` is what the child gets when this process ends (Linux). Raises ``OSError`` if there is no process to
    be had.
    """
    parent = os.getpid()
    # What is sent to the child before it has its own signals must not be written to the parent's wake-up descriptor.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = fork()
        if pid == 0:
            _live(run, user, group, death_signal, parent)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return pid


def _live(run: Callable[[], int], user: str | None, group: str | None, death_signal: int, parent: int) -> None:
    """The child's whole life; never returns."""
    code = NOT_RUN
    try:
        os.setsid()
        _reset_signals()
        _read_nothing()
        become(user, group)
        if not end_with(parent, death_signal):
            return  # it ended just before
        code = run()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except BaseException as error:
        with contextlib.suppress(BaseException):
            logger.error("%s", error)
    finally:
        os._exit(code)


def _reset_signals() -> None:
    """No handler and no blocked signal of the supervisor's; what was ignored from the start (nohup) stays ignored."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def restore_for_exec() -> None:
    """What a program expects of the process it begins in: ordinary signals, no descriptors but the first three."""
    restore_signals()
    for fd in open_descriptors() - STANDARD:
        # Closed by the exec and not before: the log may need one to say that there was none.
        with contextlib.suppress(OSError):
            os.set_inheritable(fd, False)


def restore_signals() -> None:
    """Signals as a program expects them: none is held back, and none ignored by Python's choice."""
    for name in _IGNORED_BY_PYTHON:
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def close_connections() -> None:
    """Close listeners, channels and whatever else speaks in streams; a log's files and datagram sockets stay."""
    for fd in open_descriptors() - STANDARD:
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(fd).st_mode) and _is_stream(fd):
                os.close(fd)


def _is_stream(fd: int) -> bool:
    import socket

    borrowed = socket.socket(fileno=fd)
    try:
        return borrowed.type == socket.SOCK_STREAM
    finally:
        borrowed.detach()


def _read_nothing() -> None:
    """Standard input is the supervisor's: a terminal would stop us for reading from it."""
    with contextlib.suppress(OSError):
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        if null > 2:
            os.close(null)
