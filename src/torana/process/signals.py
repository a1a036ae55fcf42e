"""What signals mean to a single process: TERM stops gracefully, INT too and at once the second time, QUIT at once.

Installed in the event loop while it runs, and plainly before that, while the application is imported.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Protocol

logger = logging.getLogger("torana")

#: All that mean something to a worker, or must not mean anything else to it.
OURS = (
    "SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGTTIN", "SIGTTOU", "SIGIO",
)  # fmt: skip
#: Signals of the contract that only a supervisor can obey: heard, said, and harmless.
_LATER = ("SIGTTIN", "SIGTTOU", "SIGUSR2")


class Stoppable(Protocol):
    """What signals are told to."""

    def request_stop(self) -> None: ...

    def request_abort(self) -> None: ...

    def reopen_logs(self) -> None: ...


class Hearing:
    """Passes signals on to something that can be stopped, while its ``with`` block runs in an event loop."""

    def __init__(self, target: Stoppable, loop: asyncio.AbstractEventLoop, level: int = logging.INFO) -> None:
        self._level = level
        self._target = target
        self._loop = loop
        self._interrupts = 0
        self._heard: list[int] = []

    def __enter__(self) -> Hearing:
        self.hear()
        return self

    def hear(self) -> None:
        """Hear them, also again when somebody else has begun to."""
        self._heard.clear()
        handlers = {
            "SIGTERM": self._stop,
            "SIGINT": self._interrupt,
            "SIGQUIT": self._target.request_abort,
            "SIGHUP": self._hang_up,
            "SIGUSR1": self._target.reopen_logs,
        }
        for name in (*handlers, *_LATER):
            number = getattr(signal, name, None)
            if number is None or (name == "SIGHUP" and signal.getsignal(number) == signal.SIG_IGN):
                continue  # nohup has the last word
            if name in handlers:
                self._loop.add_signal_handler(number, handlers[name])
            else:
                self._loop.add_signal_handler(number, self._decline, name)
            self._heard.append(number)

    def __exit__(self, *_: object) -> None:
        for number in self._heard:
            self._loop.remove_signal_handler(number)
            if number in _ends():
                # One that comes after the end of the server must not cut what still has to be put away; and the
                # shorter there is no handler, the better.
                signal.signal(number, signal.SIG_IGN)

    def _stop(self) -> None:
        logger.log(self._level, "Stopping")
        self._target.request_stop()

    def _interrupt(self) -> None:
        self._interrupts += 1
        if self._interrupts > 1:
            logger.log(self._level, "Stopping at once: a second SIGINT")
            self._target.request_abort()
            return
        logger.log(self._level, "Stopping: SIGINT (again to stop at once)")
        self._target.request_stop()

    def _hang_up(self) -> None:
        """From a terminal that is closed: stop. From anybody else: a wish for a reload."""
        if sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty():
            self._stop()
        else:
            self._decline("SIGHUP")

    def _decline(self, name: str) -> None:
        logger.warning("%s is ignored: it takes a supervisor, start the server with --workers (1 will do)", name)


class Handlers:
    """The handlers of our signals as they are now, in the loop that runs, before an application starts up in it."""

    def __init__(self) -> None:
        numbers = (getattr(signal, name, None) for name in OURS)
        self._handlers = {number: signal.getsignal(number) for number in numbers if number is not None}
        self._in_loop = _loop_handlers()

    def put_back(self) -> bool:
        """Put back what the application has put its own in the place of, and say so; those of the loop are for the
        caller to add again. Returns whether that is needed.
        """
        taken = {number for number, handler in self._handlers.items() if signal.getsignal(number) != handler}
        for number in taken:
            if self._handlers[number] is not None:
                signal.signal(number, self._handlers[number])
        in_loop = _loop_handlers()
        taken |= {number for number, handler in self._in_loop.items() if in_loop.get(number) is not handler}
        if taken:
            logger.warning(
                "The application has set handlers for %s while it started up: Torana's own stay; what shall happen at "
                "the end goes into its shutdown", ", ".join(sorted(signal.Signals(number).name for number in taken)),
            )  # fmt: skip
        # Of a loop that does not show its handlers nothing is known.
        return bool(taken) or not self._in_loop


def _loop_handlers() -> dict[int, object]:
    """The handlers that the running loop has, where it lets them be seen."""
    known = getattr(asyncio.get_running_loop(), "_signal_handlers", None)
    return dict(known) if isinstance(known, dict) else {}


def stop_while_loading() -> None:
    """Until ``only_note``, TERM and QUIT end the program as Ctrl-C does: as asked, with code 0."""
    ending = _Ending()
    for number in _ends():
        signal.signal(number, ending)
    _Lost.pass_over()


def only_note() -> list[int]:
    """From here until the loop hears signals they are only noted, in the list that is returned.

    A loop that is interrupted while it begins can neither run nor be closed. The list has those already whose
    exception got nowhere.
    """
    endings = [handler for handler in map(signal.getsignal, _ends()) if isinstance(handler, _Ending)]
    for ending in endings:
        ending.is_loading = False
    _Lost.tell_again()
    return endings[0].noted if endings else []


def hear_no_more() -> None:
    """From here on the same signals mean nothing: the end has begun, and a second one must not cut it short."""
    for number in _ends():
        signal.signal(number, signal.SIG_IGN)
    _Lost.tell_again()


def _ends() -> list[int]:
    return [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGQUIT") if hasattr(signal, name)]


class _Stop(KeyboardInterrupt):
    """Ends the loading of an application, as Ctrl-C does."""


class _Ending:
    """The handler of a process that loads its application. What it raises is lost where Python passes exceptions over,
    in a destructor or the callback of a weak reference, or where the application catches it: so each call is noted.
    """

    def __init__(self) -> None:
        self.noted: list[int] = []
        self.is_loading = True

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.noted.append(number)
        if self.is_loading:
            raise _Stop


class _Lost:
    """Python's hook for exceptions that get nowhere, while an application is loaded: a stop among them is noted and
    will be obeyed, so a traceback of it would only frighten who reads the log.
    """

    def __init__(self, told_by: Callable[[sys.UnraisableHookArgs], object]) -> None:
        self._told_by = told_by

    def __call__(self, lost: sys.UnraisableHookArgs) -> None:
        if not isinstance(lost.exc_value, _Stop):
            self._told_by(lost)

    @classmethod
    def pass_over(cls) -> None:
        if not isinstance(sys.unraisablehook, cls):
            sys.unraisablehook = cls(sys.unraisablehook)

    @classmethod
    def tell_again(cls) -> None:
        """Put back the hook that was there, unless the application has set its own since."""
        if isinstance(sys.unraisablehook, cls):
            sys.unraisablehook = sys.unraisablehook._told_by
