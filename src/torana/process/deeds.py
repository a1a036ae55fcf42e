"""Carries out what the plan orders: forks, messages, signals, and the line in the log that goes with each.

Never here: why (``plan``), the noting in the fleet (``supervisor`` does that for every action alike).
"""

from __future__ import annotations

import logging
import selectors
import signal
from typing import TYPE_CHECKING

from torana.base.errors import BindError, ConfigError, LoadError, ToranaError
from torana.process.actions import (
    AbandonReload,
    Abort,
    Action,
    Adopt,
    CompleteReload,
    Dump,
    Finish,
    GiveUp,
    Kill,
    Release,
    Retire,
    Spawn,
    Stop,
)
from torana.process.dump import DUMP_SIGNAL
from torana.process.exit_codes import BAD_CONFIGURATION, NOT_BOUND, NOT_LOADED
from torana.process.states import Mode, State

if TYPE_CHECKING:
    from torana.process.supervisor import Supervisor

logger = logging.getLogger("torana")

#: The part of an age or a size that chance may take off: workers that started together are not replaced together.
_JITTER = 0.1


class Deeds:
    """The hands of a supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._crew = supervisor.crew
        self._fleet = supervisor.fleet

    def carry_out(self, action: Action, now: float) -> None:
        """Do what an action says, before it is noted."""
        crew = self._crew
        match action:
            case Spawn():
                self._spawn(action, now)
            case Retire(pid, why, with_all):
                logger.info("%s retires: %s", crew.name(pid), why)
                self._retire(pid, with_all)
            case Stop(pid, why):
                self._stop(pid, why)
            case Abort(pid):
                crew.tell([pid], {"do": "abort"})
                self._interrupt_start(pid, signal.SIGQUIT)
            case Kill(pid, number, why):
                logger.error("%s is ended by %s: %s", crew.name(pid), signal.Signals(number).name, why)
                crew.signal(pid, number)
            case Dump(pid, why):
                self._dump_with_reason(pid, why)
            case Adopt(slot, pids):
                if own := self._supervisor.slots.own(slot):
                    crew.tell(pids, {"do": "adopt", "slot": slot}, [listener.fileno() for listener in own])
                if mailboxes := self._supervisor.mailboxes:
                    told = [pid for pid in pids if mailboxes.is_told(pid)]
                    crew.tell(told, {"do": "mailbox", "slot": slot}, mailboxes.fds_of(slot))
            case Release(slot, pids):
                crew.tell(pids, {"do": "release", "slot": slot})

    def follow_up(self, action: Action, now: float) -> None:
        """Do what follows from an action that is noted by now."""
        supervisor = self._supervisor
        match action:
            case CompleteReload(generation):
                supervisor.reload_is_over(generation, "", now)
            case AbandonReload(generation, reason):
                supervisor.reload_is_over(generation, reason, now)
            case GiveUp(code, reason):
                failure = self._fleet.failure
                if failure is not None and not self._fleet.has_been_ready:
                    reason = failure.text  # not logged yet, and shown by whoever started us
                supervisor.error = _error_of(code, reason)
                supervisor.begin_to_stop(now, is_urgent=self._fleet.mode is Mode.ABORTING)
            case Finish():
                handoff = supervisor.handoff
                supervisor.is_finished = supervisor.companions.is_over and (handoff is None or handoff.is_over)

    def dump(self, pid: int) -> None:
        """Have a worker write its stacks; the signal is heard even where its loop does not turn."""
        if DUMP_SIGNAL is not None:
            self._crew.signal(pid, DUMP_SIGNAL)

    def _dump_with_reason(self, pid: int, why: str) -> None:
        """The requests in flight are named here already: a worker that is held in native code cannot say them."""
        post = self._crew.posts.get(pid)
        in_flight = "" if post is None else self._supervisor.vitals.reading(post).describe()
        logger.error("%s: %s; %s; what it is doing:", self._crew.name(pid), why, in_flight or "no request in flight")
        self.dump(pid)

    def _spawn(self, action: Spawn, now: float) -> None:
        supervisor, crew, fleet = self._supervisor, self._crew, self._fleet
        options = supervisor.generations[action.generation]
        if action.why:
            logger.info("%s is to be replaced: %s", crew.name(action.replaces or 0), action.why)
        if options.process.hooks:
            supervisor.companions.forking(now, action.slot, action.generation)
        roster = supervisor.roster_for(options)
        try:
            with supervisor.inbox.held():
                post = crew.spawn(
                    options, action.slot, action.generation, now, supervisor.leave, supervisor.vitals.row, roster
                )
        except OSError as error:
            logger.error("No worker can be started now: %s", error.strerror or error)
            fleet.note_spawn_failed(now)
            return
        process = options.process
        fleet.note_spawned(
            action.slot, post.pid, action.generation, action.replaces, now,
            _drawn(process.max_lifetime_s), int(_drawn(process.max_rss_bytes)),
        )  # fmt: skip
        supervisor.selector.register(post.channel, selectors.EVENT_READ, lambda: supervisor.news.hear(post))
        if roster is not None and supervisor.mailboxes is not None:
            supervisor.mailboxes.introduce(crew, post.pid)
        logger.debug("%s starts", post.describe())

    def _retire(self, pid: int, with_all: bool) -> None:
        post = self._crew.posts.get(pid)
        if post is not None and post.is_heard:
            post.owes_leave = True
            self._crew.tell([pid], {"do": "retire", "with_all": with_all})
        else:
            self._crew.signal(pid, signal.SIGTERM)

    def _stop(self, pid: int, why: str) -> None:
        if why:
            logger.warning("%s is told to stop: %s", self._crew.name(pid), why)
        self._crew.tell([pid], {"do": "stop"})
        self._interrupt_start(pid, signal.SIGTERM)

    def _interrupt_start(self, pid: int, number: int) -> None:
        """A worker that still loads the application does not listen yet, and one without a channel never will."""
        worker, post = self._fleet.workers.get(pid), self._crew.posts.get(pid)
        if (worker is not None and worker.state is State.STARTING) or (post is not None and not post.is_heard):
            self._crew.signal(pid, number)


def _drawn(limit: float) -> float:
    if not limit:
        return 0.0
    import random  # a millisecond, at every start

    return limit * random.uniform(1 - _JITTER, 1)


class Ended(ToranaError):
    """The workers cannot serve, and none of the other errors says it better."""


_ERRORS: dict[int, type[ToranaError]] = {
    BAD_CONFIGURATION: ConfigError,
    NOT_LOADED: LoadError,
    NOT_BOUND: BindError,
}


def _error_of(code: int, reason: str) -> ToranaError:
    """What a worker could not do, in its own words and with its exit code."""
    return _ERRORS.get(code, Ended)(reason)
