"""What a program does while it is imported that is a server's to do, noticed and explained: it starts a server of its
own, opens sockets that listen, sets signal handlers, turns the log off.

A call that would serve until the end of the program (``servers``) is passed over, and the import goes on; where it
cannot, within a loop that the program runs itself, the import ends with ``ServesItself``. Its application is kept: it
may be the only one there is. Handlers of the signals that a server lives by are put back. What a program does with
event loop policies is left alone: the serving loop is made without them, the program's own threads may need them.

Never here: importing (``load``).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.util
import logging
import os
import signal
import socket
import stat
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from msgspec import Struct, field

from torana.gateway.culprit import stack_place
from torana.gateway.servers import ENTRIES, Entry

_log = logging.getLogger("torana")

#: Signals that a server and its supervisor live by.
_OURS = ("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGTTIN", "SIGTTOU", "SIGIO")
_GUARD = 'put that under  if __name__ == "__main__":'


class Call(NamedTuple):
    """A server that was about to be started, and with which application, if that is known."""

    name: str
    #: "FILE, line N" of the user's code, or None.
    place: str | None
    application: Any


class ServesItself(SystemExit):
    """The program runs a loop and serves in it: there is no going on. No handler of the program's may take it."""

    def __init__(self, call: Call) -> None:
        super().__init__(1)
        self.call = call

    def __str__(self) -> str:
        return (
            f"it serves by itself while it is imported ({self.call.name}), but Torana is the server; {_GUARD}, and "
            "leave the application, or an async factory that makes it, at the top level of the module"
        )


class Noticed(Struct):
    """What was noticed, in order."""

    calls: list[Call] = field(default_factory=list)
    #: Addresses of sockets that listen and did not before.
    listening: list[str] = field(default_factory=list)


class _Watch:
    """The one watch that may be under way, of the thread that imports."""

    current: _Watch | None = None

    def __init__(self) -> None:
        self.noticed = Noticed()
        self.thread = threading.get_ident()
        # Of a program that loads an application while its own loop runs.
        self.loop = _running_loop()
        self._patched: list[tuple[Any, str, Any]] = []

    def patch(self, module: Any, entry: Entry) -> None:
        """Have a call noticed, until ``unpatch``."""
        *path, name = entry.path.split(".")
        holder = module
        for each in path:
            holder = getattr(holder, each, None)
        original = vars(holder).get(name) if holder is not None else None
        # What somebody else has put there (a product's module of ours) stays.
        if not callable(original) or str(getattr(original, "__module__", "")).startswith("torana."):
            return
        with contextlib.suppress(AttributeError, TypeError):
            setattr(holder, name, _noticing(original, entry))
            self._patched.append((holder, name, original))

    def unpatch(self) -> None:
        for holder, name, original in reversed(self._patched):
            with contextlib.suppress(AttributeError, TypeError):
                setattr(holder, name, original)


def _noticing(original: Callable[..., Any], entry: Entry) -> Callable[..., Any]:
    """A stand-in that notes the call; once nobody watches it is the call itself, for whoever has kept it."""

    def passes_over() -> bool:
        watch = _Watch.current
        if watch is None or threading.get_ident() != watch.thread:
            return False
        return not entry.unless_from or sys._getframe(2).f_code.co_name != entry.unless_from

    def note(positional: tuple[Any, ...], named: dict[str, Any]) -> None:
        watch = _Watch.current
        assert watch is not None
        try:
            application = entry.application(positional, named)
        except Exception:
            application = None
        call = Call(entry.name, stack_place(traceback.extract_stack()), application)
        watch.noticed.calls.append(call)
        if entry.instead is not None:
            return
        if _running_loop() is not watch.loop:
            raise ServesItself(call)
        where = call.place or "the application"
        _log.warning(
            "%s calls %s while it is imported: passed over, Torana is the server; %s", where, call.name, _GUARD
        )

    if entry.is_async:

        @functools.wraps(original)
        async def later(*positional: Any, **named: Any) -> Any:
            if not passes_over():
                return await original(*positional, **named)
            note(positional, named)
            return None

        return later

    @functools.wraps(original)
    def at_once(*positional: Any, **named: Any) -> Any:
        if not passes_over():
            return original(*positional, **named)
        note(positional, named)
        return None if entry.instead is None else entry.instead(original, positional, named)

    return at_once


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class _Spy:
    """On ``sys.meta_path``: has the calls of a module noticed as soon as it is imported."""

    def __init__(self, watch: _Watch) -> None:
        self._watch = watch
        self._looking: set[str] = set()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in ENTRIES or name in self._looking:
            return None
        self._looking.add(name)
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError, AttributeError):
            return None
        finally:
            self._looking.discard(name)
        loader = None if spec is None else spec.loader
        execute = getattr(loader, "exec_module", None)
        if execute is not None:

            def exec_module(module: Any) -> None:
                execute(module)
                if _Watch.current is self._watch:
                    for entry in ENTRIES[name]:
                        self._watch.patch(module, entry)

            with contextlib.suppress(AttributeError):
                loader.exec_module = exec_module  # type: ignore[union-attr, method-assign]
        return spec


@contextlib.contextmanager
def watched(what: str) -> Iterator[Noticed]:
    """While the block imports ``what`` and calls its factory, notice; then put back and explain."""
    if _Watch.current is not None:
        yield _Watch.current.noticed
        return
    watch = _Watch.current = _Watch()
    spy = _Spy(watch)
    before, kept, logs = _sockets(), _Kept(), _logs_as_they_are()
    for name in [name for name in ENTRIES if name in sys.modules]:
        for entry in ENTRIES[name]:
            watch.patch(sys.modules[name], entry)
    sys.meta_path.insert(0, spy)
    try:
        yield watch.noticed
    finally:
        _Watch.current = None
        with contextlib.suppress(ValueError):
            sys.meta_path.remove(spy)
        watch.unpatch()
        _turn_logs_on(logs)
        kept.put_back(what)
        watch.noticed.listening = _listening(_sockets() - before)
        for address in watch.noticed.listening:
            _log.warning(
                "%s has opened %s for listening while it was imported: Torana knows nothing of it and does not close "
                "it, and each worker tries to open it", what, address,
            )  # fmt: skip


# Signals


class _Kept:
    """The handlers of our signals as they were."""

    def __init__(self) -> None:
        numbers = (getattr(signal, name, None) for name in _OURS)
        is_main = threading.current_thread() is threading.main_thread()
        self._handlers = {number: signal.getsignal(number) for number in numbers if number is not None and is_main}

    def put_back(self, what: str) -> None:
        taken = []
        for number, handler in self._handlers.items():
            if handler is not None and signal.getsignal(number) != handler:
                taken.append(signal.Signals(number).name)
                signal.signal(number, handler)
        if taken:
            _log.warning(
                "%s has set handlers for %s while it was imported: Torana's own stay; what shall happen at the end "
                "goes into the application's shutdown (lifespan) or atexit", what, ", ".join(taken),
            )  # fmt: skip


# The log


def _logs_as_they_are() -> dict[str, bool]:
    """Our loggers, and whether each is turned off."""
    known = logging.root.manager.loggerDict
    names = [name for name in list(known) if name == "torana" or name.startswith("torana.")]
    return {name: logging.getLogger(name).disabled for name in names if isinstance(known[name], logging.Logger)}


def _turn_logs_on(before: dict[str, bool]) -> None:
    """``logging.config`` turns off all loggers that it does not know, unless it is told not to."""
    for name, was_disabled in before.items():
        logging.getLogger(name).disabled = was_disabled


# Sockets


def _sockets() -> set[tuple[int, int]]:
    """The descriptors that are sockets, each with what it stands for: a number may come again as another."""
    numbers: list[int] = []
    for directory in ("/proc/self/fd", "/dev/fd"):
        with contextlib.suppress(OSError, ValueError):
            numbers = [int(name) for name in os.listdir(directory)]
            break
    found = set()
    for fd in numbers:
        with contextlib.suppress(OSError):
            status = os.fstat(fd)
            if stat.S_ISSOCK(status.st_mode):
                found.add((fd, status.st_ino))
    return found


def _listening(sockets: set[tuple[int, int]]) -> list[str]:
    """The addresses of those that listen."""
    found = []
    for fd, _ in sorted(sockets):
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(fd)) as sock:
            if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                found.append(_written(sock))
    return found


def _written(sock: socket.socket) -> str:
    name = sock.getsockname()
    if sock.family == socket.AF_INET:
        return f"{name[0]}:{name[1]}"
    if sock.family == socket.AF_INET6:
        return f"[{name[0]}]:{name[1]}"
    return f"unix:{name.decode(errors='replace') if isinstance(name, bytes) else name}" if name else "a socket"
