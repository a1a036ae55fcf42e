"""What runs beside the workers or is told of them: services, hooks, systemd and the control socket.

One door to all four for the supervisor, which is busy enough. Never here: workers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from torana.process.control import Control, open_control
from torana.process.hooks import HookInfo, Hooks
from torana.process.notify import Notifier
from torana.process.options import RunOptions
from torana.process.services import Services


class Companions:
    """All companions of a server. Times are monotonic seconds."""

    def __init__(self, options: RunOptions, pid: int, addresses: list[str], *, is_heir: bool = False) -> None:
        """``is_heir``: another program is still the server; until ``lead`` nobody outside hears of us."""
        process = options.process
        self._options = options
        self._about = HookInfo("", pid=pid, addresses=tuple(addresses), generation=1)
        self._hooks = Hooks(process.hooks, app_dir=options.application.app_dir, user=process.user, group=process.group)
        self.services = Services(process.services, user=process.user, group=process.group)
        self._notifier = Notifier(() if is_heir else process.systemd)
        self._is_waiting = is_heir
        #: How many workers there are, if the server is ready and waits for the other program.
        self._waiting_workers = 0
        self._watchdog_s = 0.0
        self.control: Control | None = None

    def starting(self, wake: int) -> bool:
        """Before anything else: False if the server was told to stop meanwhile. Raises ``LoadError``."""
        return self._hooks.run_starting(self._info("on_starting"), self._options.process.boot_s, wake)

    def listen(
        self, answer: Callable[[dict[str, Any]], dict[str, Any] | None], heir_of: str | None = None
    ) -> Control | None:
        """Open the control socket, if there can be one; ``heir_of`` is the path of a program that we take over from."""
        self.control = open_control(self._options, self._about.addresses, answer, heir_of=heir_of)
        return self.control

    def ready(self, now: float, workers: int) -> None:
        """The server serves, for the first time."""
        if self._is_waiting:
            self._waiting_workers = workers
            return
        self._notifier.ready(f"Serving with {_count(workers)}")
        self.services.start(now)
        self._ask(now, "when_ready", workers=workers)

    def lead(self, now: float) -> None:
        """We are the server: the other program has stopped its services and tells nobody anything any more."""
        self._is_waiting = False
        self._notifier = Notifier(self._options.process.systemd)
        if self._waiting_workers:
            self.ready(now, self._waiting_workers)

    def executing(self) -> None:
        """In a child that is about to execute a new program."""
        self._hooks.run(self._info("pre_exec"))

    def replacing(self, text: str) -> None:
        """Say how far the replacement of the program is."""
        self._notifier.status(text)

    def hand_over(self, now: float, pid: int) -> None:
        """Another program is the server from now on; it starts its services when ours are gone."""
        self._notifier.main_pid(pid)
        self._notifier.close()
        self.services.stop(now)

    def forking(self, now: float, slot: int, generation: int) -> None:
        """A worker is about to be forked."""
        self._ask(now, "pre_fork", slot=slot, generation=generation)

    def lost(self, now: float, pid: int, slot: int, generation: int, reason: str) -> None:
        """A worker has ended."""
        self._ask(now, "child_exit", worker_pid=pid, slot=slot, generation=generation, reason=reason)

    def reloading(self, now: float, generation: int, reason: str) -> None:
        """A reload begins."""
        self._notifier.reloading("Reloading")
        self._ask(now, "on_reload", generation=generation, reason=reason)

    def reloaded(self, now: float, workers: int, failure: str = "") -> None:
        """The reload is over."""
        if failure:
            self._notifier.ready(f"The reload was abandoned: {failure}")
        else:
            self._notifier.ready(f"Serving with {_count(workers)}")
            self.services.restart(now)

    def scaled(self, now: float, before: int, workers: int) -> None:
        """Another number of workers is wanted."""
        self._notifier.status(f"Serving with {_count(workers)}")
        self._ask(now, "nworkers_changed", workers=workers, workers_before=before)

    def stopping(self, now: float) -> None:
        """The server was told to stop."""
        self._notifier.stopping("Stopping")
        self.services.stop(now)

    def kill(self) -> None:
        """The server ends at once."""
        self.services.kill()
        self._hooks.kill()

    def note_gone(self, pid: int, status: int, now: float) -> bool:
        """A child was waited for; whether it was one of ours."""
        return self.services.note_gone(pid, status, now) or self._hooks.note_gone(pid, status, now)

    def look(self, now: float) -> float:
        """Do what is due; when to look again at the latest."""
        control_s = self.control.look(now) if self.control is not None else None
        next_s = min(self.services.look(now), self._hooks.look(now), math.inf if control_s is None else control_s)
        interval_s = self._notifier.watchdog_interval_s
        if not interval_s:
            return next_s
        if now >= self._watchdog_s:
            self._watchdog_s = now + interval_s
            self._notifier.watchdog()
        return min(next_s, self._watchdog_s)

    @property
    def is_over(self) -> bool:
        """Whether the server need not stay for a service."""
        return self.services.is_over

    def finish(self) -> None:
        """The last thing of a server."""
        self._hooks.finish(self._info("on_exit"))
        if self.control is not None:
            self.control.close()
            self.control = None
        self._notifier.close()

    def forget(self) -> None:
        """In a new worker: have nothing to do with any of them."""
        if self.control is not None:
            self.control.forget()
        self._notifier.close()

    def _ask(self, now: float, event: str, **about: Any) -> None:
        if self._options.process.hooks:
            self._hooks.ask(self._info(event, **about), now)

    def _info(self, event: str, **about: Any) -> HookInfo:
        return replace(self._about, event=event, **about)


def _count(workers: int) -> str:
    return f"{workers} worker" if workers == 1 else f"{workers} workers"
