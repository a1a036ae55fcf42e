"""What the import of an application left running or open, by name: a fork copies no thread, and shares what is open.

Never here: what is done about it; it is legal, and only the application's author can know whether it is meant.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import logging
import os
import socket
import stat
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from torana.process.spawn import open_descriptors

logger = logging.getLogger("torana")

_KINDS = {
    (socket.AF_INET, socket.SOCK_STREAM): "TCP socket",
    (socket.AF_INET6, socket.SOCK_STREAM): "TCP socket",
    (socket.AF_INET, socket.SOCK_DGRAM): "UDP socket",
    (socket.AF_INET6, socket.SOCK_DGRAM): "UDP socket",
    (socket.AF_UNIX, socket.SOCK_STREAM): "unix socket",
    (socket.AF_UNIX, socket.SOCK_DGRAM): "unix datagram socket",
}
#: Most warnings; the rest is counted.
_MOST = 20
_LONGEST = 200


class Surroundings(Struct, frozen=True):
    """What was there before."""

    fds: frozenset[int]
    #: As the kernel counts them.
    threads: frozenset[int]
    children: frozenset[int]


def look_around() -> Surroundings:
    """What is there now."""
    return Surroundings(frozenset(open_descriptors()), frozenset(_tasks()), frozenset(_children()))


def warn_of_leftovers(before: Surroundings) -> None:
    """Log a warning for everything that has come since and will not survive a fork, or be shared by all workers."""
    found = list(leftovers(before))
    for sentence in found[:_MOST]:
        logger.warning("Preload: %s", sentence)
    if len(found) > _MOST:
        logger.warning("Preload: and %d more things like these", len(found) - _MOST)


def leftovers(before: Surroundings) -> Iterator[str]:
    """A sentence for each."""
    yield from _threads(before)
    yield from _loops()
    yield from _descriptors(before)
    yield from _processes(before)


# Threads and loops


def _threads(before: Surroundings) -> Iterator[str]:
    known = set()
    for thread in threading.enumerate():
        known.add(thread.native_id)
        # The main thread is ours; that it has another number since the fork, not every Python knows.
        if thread is not threading.main_thread() and thread.native_id not in before.threads:
            yield (
                f"the import has left the thread {_cut(thread.name)!r} ({_purpose(thread)}) running; no worker will "
                "have it: start it in the post_fork hook or when the application starts up"
            )
    names = Counter(_name_of(task) for task in _tasks() - before.threads - known)
    for name, count in sorted(names.items()):
        threads = "a thread" if count == 1 else f"{count} threads"
        yield (
            f"a library has started {threads} of its own ({name!r}, unknown to Python); no worker will have any: a "
            "library that does not expect a fork may wait for it for ever"
        )


def _purpose(thread: threading.Thread) -> str:
    """What a thread runs, as far as it tells."""
    named: Any = getattr(thread, "_target", None)
    if not hasattr(named, "__qualname__"):
        named = type(thread)
    return _cut(f"{named.__module__}.{named.__qualname__}")


def _loops() -> Iterator[str]:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for found in gc.get_objects():
        # Of the type, not of the object: a lazy one would be awakened by the question what it is.
        if not issubclass(type(found), asyncio.AbstractEventLoop):
            continue
        with contextlib.suppress(Exception):
            name = f"{type(found).__module__}.{type(found).__qualname__}"
            if found.is_running():
                thread = names.get(getattr(found, "_thread_id", None))
                where = f" in the thread {_cut(thread)!r}" if thread else ""
                yield f"an event loop ({name}) runs{where}; in the workers it stands still: start it there"
            elif not found.is_closed():
                yield (
                    f"an event loop ({name}) was made by the import; all workers would wait on the same descriptors: "
                    "make it when the application starts up"
                )


# Descriptors


def _descriptors(before: Surroundings) -> Iterator[str]:
    for fd in sorted(open_descriptors() - before.fds):
        with contextlib.suppress(OSError):
            what = _described(fd)
            if what:
                yield f"the import has opened {what}; all workers would share it: open it when the application starts"


def _described(fd: int) -> str:
    """What a descriptor is; "" if it may well be shared."""
    kind = os.fstat(fd).st_mode
    if stat.S_ISSOCK(kind):
        return f"{_socket(fd)} (descriptor {fd})"
    if stat.S_ISCHR(kind):
        return ""  # /dev/null, /dev/urandom
    if stat.S_ISREG(kind) and fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_APPEND:
        return ""  # a log: each line goes to its end, whoever writes it
    name = ""
    with contextlib.suppress(OSError):
        name = os.readlink(f"/proc/self/fd/{fd}")
    if stat.S_ISREG(kind):
        return f"the file {_cut(name)} (descriptor {fd}), whose position is one for all"
    return f"{_cut(name) or 'something'} (descriptor {fd})"


def _socket(fd: int) -> str:
    borrowed = socket.socket(fileno=fd)
    try:
        kind = _KINDS.get((borrowed.family, borrowed.type), "socket")
        local = _address(borrowed.getsockname())
        with contextlib.suppress(OSError):
            peer = _address(borrowed.getpeername())
            if not local and not peer:
                return f"one end of a pair of {kind}s"
            return f"a {kind} connected to {peer or 'a nameless one'}" + (f" from {local}" if local else "")
        is_listening = borrowed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        return f"a {kind} {'listening at' if is_listening else 'at'} {local or 'no address'}"
    finally:
        borrowed.detach()


def _address(name: object) -> str:
    if isinstance(name, tuple) and len(name) >= 2 and isinstance(name[0], str):
        return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"
    if isinstance(name, bytes):
        return _cut(name.decode(errors="backslashreplace").replace("\0", "@"))
    return _cut(str(name)) if name else ""


# Processes


def _processes(before: Surroundings) -> Iterator[str]:
    for pid in sorted(_children() - before.children):
        yield (
            f"the import has started the process {pid} ({_name_of(pid)!r}), which is not a child of any worker: start "
            "it when the application starts up, or as a [[service]]"
        )


def _tasks() -> set[int]:
    """Our threads, as the kernel counts them; none where it does not tell."""
    with contextlib.suppress(OSError):
        return {int(name) for name in os.listdir("/proc/self/task")}
    return set()


def _children() -> set[int]:
    """Processes that some thread of ours has started and nobody has waited for."""
    found = set()
    for task in _tasks():
        with contextlib.suppress(OSError, ValueError):
            found |= {int(word) for word in Path(f"/proc/self/task/{task}/children").read_text().split()}
    return found


def _name_of(pid: int) -> str:
    """What the kernel calls a thread or a process."""
    with contextlib.suppress(OSError):
        return _cut(Path(f"/proc/{pid}/comm").read_text(errors="backslashreplace").strip())
    return "?"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
