"""Makes a worker: a fork of the supervisor that keeps nothing of it but its own channel and its own listeners.

The child leaves the supervisor's code by an exception, ``Born``, so that it begins its life at the bottom of the stack
and ends it as any program does. With preload a zygote is born like this, and workers are forked from it (``nursery``).
Never here: what a worker does (``member``), whether one is needed (``plan``).
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from msgspec import Struct

from torana.net.address import Address
from torana.net.listener import Listener
from torana.process.channel import Channel
from torana.process.options import RunOptions

#: Standard input, output and error.
STANDARD = frozenset({0, 1, 2})


class Duty(Struct):
    """What a new worker is to do."""

    options: RunOptions
    slot: int
    generation: int
    #: When the supervisor decided to have it (monotonic seconds).
    began_s: float
    channel: Channel
    listeners: list[Listener]
    #: Where it writes down its progress; None where nobody reads that.
    board_row: memoryview | None = None
    #: The application (``worker.Application``) if it is imported already; else the worker imports it.
    application: Any = None
    #: The supervisor, if it is not the process that forked us.
    server_pid: int = 0
    #: Which slots serve, shared by all workers (``base/roster``); None where nobody asks.
    roster: memoryview | None = None


class Errand(Struct):
    """What a new zygote is to do."""

    options: RunOptions
    generation: int
    began_s: float
    server_pid: int
    channel: Channel
    #: What the listeners of each slot are, in their order: address, and whether TLS is spoken there.
    places: list[tuple[Address, bool]]
    #: Gives the memory that a worker's position on the board writes to.
    row: Callable[[int], memoryview | None]
    #: As in a duty.
    roster: memoryview | None = None


class Born(BaseException):
    """Raised in the new process. Nothing may catch it but the supervisor's outermost function."""

    def __init__(self, duty: Duty | Errand) -> None:
        super().__init__()
        self.duty = duty


class Seat(Struct, frozen=True):
    """Which worker is to be made."""

    slot: int
    generation: int
    #: Its row of the board.
    position: int
    #: When the supervisor decided to have it (monotonic seconds).
    began_s: float


class Spawner(Protocol):
    """Whoever makes workers."""

    def fork(self, seat: Seat, channel: Channel) -> int:
        """The process id of a new worker that has this end of a channel; 0 in the worker itself, if it is a fork of
        this very process. Raises ``OSError``.
        """
        ...


class Forking:
    """Workers are forks of this process, and import the application themselves."""

    def fork(self, seat: Seat, channel: Channel) -> int:
        """As ``os.fork``."""
        return fork()


def fork() -> int:
    """``os.fork`` of a process without threads; what was written before is not written twice. Raises ``OSError``."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    return os.fork()


def open_descriptors() -> set[int]:
    """Every descriptor that is open in this process."""
    for directory in ("/proc/self/fd", "/dev/fd"):
        with contextlib.suppress(OSError):
            # The listing itself used one, which is closed again.
            return {fd for fd in map(int, os.listdir(directory)) if _is_open(fd)}
    return set()


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def keep_only(fds: Iterable[int]) -> None:
    """In a new worker: close every other descriptor, whoever opened it. Objects that own one were closed before."""
    kept = STANDARD | set(fds)
    for fd in open_descriptors() - kept:
        logging.getLogger("torana").debug("A new worker closes descriptor %d, which it should not have", fd)
        with contextlib.suppress(OSError):
            os.close(fd)
