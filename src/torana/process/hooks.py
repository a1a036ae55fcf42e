"""``[hooks]``: functions of the user's that are called when something happens to the server or to a worker.

Events of the server (the supervisor's) run one after the other in a short-lived forked child with a time bound, so that
the supervisor never imports what is not ours and never waits for it; events of a worker run in the worker. A function
gets one ``HookInfo``. What it raises is logged with its traceback and harms nothing, with one exception: a failing
``on_starting`` stops the start.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import select
import signal
import time
from collections import deque
from collections.abc import Iterable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from torana.base.errors import LoadError
from torana.process.aside import close_connections, fork_aside
from torana.process.options import HOOK_EVENTS

logger = logging.getLogger("torana")

#: Events that run in the worker; all others run beside the supervisor.
WORKER_EVENTS: Final = ("post_fork", "post_worker_init", "worker_int", "worker_abort", "worker_exit")
SERVER_EVENTS: Final = tuple(event for event in HOOK_EVENTS if event not in WORKER_EVENTS)

#: How long one hook of the server may take.
TIMEOUT_S: Final = 30.0
#: More than this waiting means that a hook is too slow for what happens: then events are dropped, and that is said.
_MOST_WAITING = 256
#: How often a wait looks, and how long it believes that KILL will end a child.
_LOOK_S, _UNKILLABLE_S = 0.02, 2.0


class HookInfo(Struct, frozen=True):
    """What a hook is told. What an event is not about is None, "" or empty."""

    event: str
    #: Process id of the server: its supervisor.
    pid: int = 0
    worker_pid: int | None = None
    slot: int | None = None
    #: 1 at the start, one more with each reload.
    generation: int | None = None
    #: Why: of a reload, or of a worker's end.
    reason: str = ""
    #: How many workers there shall be, and how many there should be before.
    workers: int | None = None
    workers_before: int | None = None
    #: Where the server listens, as URLs.
    addresses: tuple[str, ...] = ()


class Hooks:
    """The supervisor's side. Times are monotonic seconds."""

    def __init__(
        self,
        hooks: Iterable[tuple[str, str]],
        *,
        app_dir: str | None = None,
        user: str | None = None,
        group: str | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._targets = [(event, target) for event, target in hooks if event in SERVER_EVENTS]
        self._app_dir = app_dir
        self._user, self._group = user, group
        self._timeout_s = timeout_s
        self._waiting: deque[tuple[HookInfo, str]] = deque()
        self._running: _Running | None = None
        self._is_dropping = False

    def run_starting(self, info: HookInfo, timeout_s: float = 0.0, wake: int = -1) -> bool:
        """Run ``on_starting`` and wait for it; False if the descriptor ``wake`` became readable meanwhile (somebody
        wants the server to stop). Raises ``LoadError`` if a function fails or takes longer than a time; 0 is no bound.
        """
        for target in self._of(info.event):
            code = self._run(info, target, time.monotonic() + (timeout_s or math.inf), wake)
            if code is None:
                return False
            if code != 0:
                raise LoadError(f"the hook {info.event} ({target}) failed, so nothing is started")
        return True

    def run(self, info: HookInfo) -> None:
        """Run the functions of an event now and wait for them."""
        for target in self._of(info.event):
            self._run(info, target, time.monotonic() + self._timeout_s, -1)

    def _run(self, info: HookInfo, target: str, deadline: float, wake: int) -> int | None:
        """Run one function to its end; its exit code, None if ``wake`` became readable."""
        running = self._start(info, target, deadline)
        return 1 if running is None else self._wait(running, deadline, wake)

    def ask(self, info: HookInfo, now: float) -> None:
        """Run the functions of an event soon, after those that were asked for before."""
        for target in self._of(info.event):
            if len(self._waiting) >= _MOST_WAITING:
                if not self._is_dropping:
                    logger.warning("Hooks: more than %d events wait; the latest are dropped", _MOST_WAITING)
                self._is_dropping = True
                return
            self._waiting.append((info, target))
        self.look(now)

    def look(self, now: float) -> float:
        """Do what is due; when to look again at the latest, ``math.inf`` if nothing is to be expected."""
        running = self._running
        if running is not None:
            if now >= running.deadline and not running.is_killed:
                self._kill(running)
            return math.inf if running.is_killed else running.deadline
        if not self._waiting:
            self._is_dropping = False
            return math.inf
        info, target = self._waiting.popleft()
        self._running = self._start(info, target, now + self._timeout_s)
        return now if self._running is None else self._running.deadline

    def note_gone(self, pid: int, status: int, now: float) -> bool:
        """A child was reaped with a wait status; True if it was one of ours."""
        running = self._running
        if running is None or running.pid != pid:
            return False
        self._running = None
        _note_end(running, status)
        self.look(now)
        return True

    def finish(self, info: HookInfo, timeout_s: float = TIMEOUT_S) -> None:
        """The end of the server: run what waits and then ``on_exit``, and wait for it all, up to a time."""
        deadline = time.monotonic() + timeout_s
        if self._running is not None:
            self._wait(self._running, min(deadline, self._running.deadline), -1)
            self._running = None
        self._waiting.extend((info, target) for target in self._of(info.event))
        while self._waiting and time.monotonic() < deadline:
            waiting, target = self._waiting.popleft()
            self._run(waiting, target, min(deadline, time.monotonic() + self._timeout_s), -1)
        if self._waiting:
            logger.warning("Hooks: %d were not run: there is no time left", len(self._waiting))
            self._waiting.clear()

    def kill(self) -> None:
        """End the one that runs, forget the ones that wait."""
        self._waiting.clear()
        if self._running is not None and not self._running.is_killed:
            self._running.is_killed = True
            _kill_group(self._running.pid)

    def _of(self, event: str) -> list[str]:
        return [target for name, target in self._targets if name == event]

    def _start(self, info: HookInfo, target: str, deadline: float) -> _Running | None:
        def run() -> int:
            close_connections()
            return _call(info, target, self._app_dir)

        try:
            pid = fork_aside(run, user=self._user, group=self._group, death_signal=signal.SIGKILL)
        except OSError as error:
            logger.error("The hook %s (%s) cannot be run: %s", info.event, target, error)
            return None
        return _Running(pid, info.event, target, deadline)

    def _wait(self, running: _Running, deadline: float, wake: int) -> int | None:
        while True:
            try:
                pid, status = os.waitpid(running.pid, os.WNOHANG)
            except ChildProcessError:
                return 0  # somebody else reaped it
            if pid:
                _note_end(running, status)
                return os.waitstatus_to_exitcode(status)
            now = time.monotonic()
            if now >= deadline and not running.is_killed:
                self._kill(running)
            elif now >= deadline + _UNKILLABLE_S:
                return 1
            readable, _, _ = select.select([] if wake < 0 else [wake], [], [], _LOOK_S)
            if readable:
                running.is_killed = True
                _kill_group(running.pid)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(running.pid, 0)
                return None

    def _kill(self, running: _Running) -> None:
        logger.error("The hook %s (%s) takes too long: ended", running.event, running.target)
        running.is_killed = True
        _kill_group(running.pid)


class _Running(Struct):
    """A child that runs one function."""

    pid: int
    event: str
    target: str
    deadline: float
    is_killed: bool = False


class WorkerHooks:
    """The worker's side: calls functions here and now. ``about`` is what all of them are told."""

    def __init__(self, hooks: Iterable[tuple[str, str]], about: HookInfo, *, app_dir: str | None = None) -> None:
        self._targets = [(event, target) for event, target in hooks if event in WORKER_EVENTS]
        self._about = about
        self._app_dir = app_dir

    def run(self, event: str, reason: str = "") -> None:
        """Call the functions of an event; never raises an ``Exception``."""
        for name, target in self._targets:
            if name == event:
                _call(replace(self._about, event=event, reason=reason), target, self._app_dir)


def _call(info: HookInfo, target: str, app_dir: str | None) -> int:
    """Import and call one function; 0, or 1 if it failed, which is logged."""
    # Not at the top: the supervisor imports this file, and only the worker knows what serves.
    from torana.process.worker import call_function

    try:
        call_function(target, app_dir, info)
    except LoadError as error:
        logger.error("The hook %s: %s", info.event, error)
        return 1
    except Exception:
        logger.exception("The hook %s (%s) failed", info.event, target)
        return 1
    return 0


def _kill_group(pid: int) -> None:
    """KILL a child and all it started; one that has not got its own group yet is ended alone."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    except OSError as error:
        logger.warning("Process %d cannot be ended: %s", pid, error)


def _note_end(running: _Running, status: int) -> None:
    """Say what the child itself could not say."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0 and not running.is_killed:
        logger.error("The hook %s (%s) was killed by signal %d", running.event, running.target, -code)
