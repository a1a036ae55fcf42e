"""``[[service]]``: programs beside the workers, one process group each, one of a kind per server.

Started when the server is ready, started again with a growing pause when they end, restarted with a reload, stopped by
TERM and after their time by KILL. The end of a service is logged and never stops the server. Nothing here waits: the
supervisor tells what happened and what time it is, and ``look`` says when to come again.
"""

from __future__ import annotations

import logging
import math
import os
import signal
from collections.abc import Iterable

from torana.process.aside import NOT_RUN, fork_aside, restore_for_exec
from torana.process.death import memory_events
from torana.process.options import ServiceOptions

logger = logging.getLogger("torana")

#: Pause before a service is started again: doubled from the first to the last, back to the first when it lived so long.
FIRST_PAUSE_S, LONGEST_PAUSE_S, GOOD_LIFE_S = 0.1, 30.0, 10.0
#: How often to look whether what a service left behind is gone, and how long after KILL nobody can still be there.
_LINGER_LOOK_S, _LONGEST_LINGER_S = 0.1, 1.0


class Services:
    """All services of a server. Times are monotonic seconds."""

    def __init__(self, options: Iterable[ServiceOptions], *, user: str | None = None, group: str | None = None) -> None:
        self._services = [_Service(each, user, group) for each in options]

    def start(self, now: float) -> None:
        """Start every service; call it when the server is ready."""
        for service in self._services:
            service.want(now)

    def note_gone(self, pid: int, status: int, now: float) -> bool:
        """A child was reaped with a wait status; True if it was one of ours."""
        for service in self._services:
            if pid == service.pid:
                service.note_gone(status, now)
                return True
        return False

    def look(self, now: float) -> float:
        """Do what is due; when to look again at the latest, ``math.inf`` if nothing is to be expected."""
        return min((service.look(now) for service in self._services), default=math.inf)

    def restart(self, now: float) -> None:
        """Stop every service and start it anew, also one that had ended: there is new code. Call it when a reload has
        succeeded.
        """
        for service in self._services:
            service.restart(now)

    def stop(self, now: float) -> None:
        """Stop every service, and start none any more."""
        for service in self._services:
            service.stop(now)

    def kill(self) -> None:
        """End every service and what it started at once, and start none any more."""
        for service in self._services:
            service.kill()

    @property
    def is_over(self) -> bool:
        """Whether no process of a service is left."""
        return not any(service.is_there for service in self._services)

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of those that run, by name."""
        return {service.name: service.pid for service in self._services if service.pid}


class _Service:
    """One service: no process, a process, or (the process is gone) what it left in its group."""

    def __init__(self, options: ServiceOptions, user: str | None, group: str | None) -> None:
        self.name = options.name
        self.pid = 0
        self._options = options
        self._user, self._group = user, group
        self._leftover = 0
        self._is_wanted = False
        self._start_at = math.inf
        self._kill_at = math.inf
        self._forget_at = math.inf
        self._started_s = 0.0
        self._kills_before = 0
        self._pause_s = FIRST_PAUSE_S

    @property
    def is_there(self) -> bool:
        """Whether it, or something it started, still runs."""
        return bool(self.pid or self._leftover)

    def want(self, now: float) -> None:
        self._is_wanted = True
        self._start_at = now
        self.look(now)

    def restart(self, now: float) -> None:
        self._end(now)
        self._pause_s = FIRST_PAUSE_S
        self.want(now)

    def stop(self, now: float) -> None:
        self._is_wanted = False
        self._start_at = math.inf
        self._end(now)

    def kill(self) -> None:
        self._is_wanted = False
        self._start_at = math.inf
        self._kill_at = self._forget_at = 0.0
        self._signal(signal.SIGKILL)

    def note_gone(self, status: int, now: float) -> None:
        code = os.waitstatus_to_exitcode(status)
        lived_s = now - self._started_s
        is_meant = self._kill_at != math.inf
        self._leftover, self.pid = self.pid, 0
        # What it started dies with it, within the time that it had itself.
        if _is_anybody_in(self._leftover):
            self._signal(signal.SIGTERM)
            self._kill_at = min(self._kill_at, now + self._options.stop_s)
        if is_meant:
            logger.info("Service %s (pid %d) stopped: %s", self.name, self._leftover, _cause(code))
        else:
            self._ended(code, lived_s, now)
        self.look(now)

    def _ended(self, code: int, lived_s: float, now: float) -> None:
        """It ended by itself: say so, and decide whether and when it starts again."""
        is_failure = code != 0
        rule = self._options.restart
        self._pause_s = FIRST_PAUSE_S if lived_s >= GOOD_LIFE_S else self._pause_s
        text = f"Service {self.name} (pid {self._leftover}) ended after {lived_s:.1f} s: {_cause(code)}"
        if code == -signal.SIGKILL and _memory_kills() > self._kills_before:
            text += "; since it began the kernel has ended a process here for lack of memory"
        level = logging.ERROR if is_failure else logging.INFO
        if not self._is_wanted or rule == "never" or (rule == "on-failure" and not is_failure):
            self._start_at = math.inf
            logger.log(level, "%s; it is not started again", text)
            return
        logger.log(level, "%s; it is started again in %.1f s", text, self._pause_s)
        self._pause(now)

    def _pause(self, now: float) -> None:
        self._start_at = now + self._pause_s
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)

    def look(self, now: float) -> float:
        if self.is_there:
            return self._look_at_end(now)
        if not self._is_wanted or self._start_at > now:
            return self._start_at
        self._start(now)
        return self._start_at

    def _look_at_end(self, now: float) -> float:
        if self._leftover and (now >= self._forget_at or not _is_anybody_in(self._leftover)):
            self._leftover = 0
            self._kill_at = self._forget_at = math.inf
            return self.look(now)
        if now >= self._kill_at and self._forget_at == math.inf:
            what = f"Service {self.name}" if self.pid else f"What service {self.name} started"
            logger.warning("%s does not end within %g s of TERM: killed", what, self._options.stop_s)
            self._signal(signal.SIGKILL)
            self._forget_at = now + _LONGEST_LINGER_S
        if self._leftover:
            return now + _LINGER_LOOK_S
        return math.inf if self._forget_at != math.inf else self._kill_at

    def _start(self, now: float) -> None:
        self._start_at = math.inf
        try:
            self.pid = fork_aside(self._execute, user=self._user, group=self._group, death_signal=signal.SIGTERM)
        except OSError as error:
            logger.error("Service %s cannot be started, again in %.1f s: %s", self.name, self._pause_s, error)
            self._pause(now)
            return
        self._started_s = now
        self._kills_before = _memory_kills()
        logger.info("Service %s started (pid %d)", self.name, self.pid)

    def _execute(self) -> int:
        """In the child: become the program."""
        command, cwd = self._options.command, self._options.cwd
        words = ("/bin/sh", "-c", command) if isinstance(command, str) else command
        try:
            if cwd is not None:
                os.chdir(cwd)
            restore_for_exec()
            os.execvp(words[0], words)
        except (OSError, ValueError, IndexError) as error:
            where = f" in {cwd}" if cwd is not None else ""
            logger.error("Service %s: cannot execute %r%s: %s", self.name, command, where, error)
        return NOT_RUN

    def _end(self, now: float) -> None:
        """TERM, and KILL when its time is over; nothing if that has begun."""
        if self.is_there and self._kill_at == math.inf:
            self._kill_at = now + self._options.stop_s
            self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        """To the whole group; a child that has not got its group yet gets the signal alone."""
        if self._leftover and not _is_anybody_in(self._leftover):
            return
        if not self.is_there:
            return
        try:
            os.killpg(self.pid or self._leftover, number)
        except ProcessLookupError:
            if self.pid:
                os.kill(self.pid, number)
        except OSError as error:
            logger.warning("Service %s cannot be sent signal %d: %s", self.name, number, error)


def _is_anybody_in(group: int) -> bool:
    """Whether a group whose leader is gone and reaped has members left.

    A process with the group's own number can only be a stranger: the system gives a number away again only when both
    the process and the group of that number are gone.
    """
    try:
        os.getpgid(group)
    except ProcessLookupError:
        pass
    else:
        return False
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _memory_kills() -> int:
    """How many processes of our control group the kernel has ended for lack of memory."""
    events = memory_events()
    return 0 if events is None else events.kills


def _cause(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"killed by signal {-code}"
