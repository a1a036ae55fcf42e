"""What signals and commands mean: what is asked of the fleet, and what who asks gets for an answer.

Never here: how any of it is done.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from torana import __version__
from torana.base.errors import ToranaError
from torana.process.dump import DUMP_SIGNAL
from torana.process.inbox import Heard
from torana.process.log import set_up_log
from torana.process.options import RunOptions
from torana.process.states import Mode
from torana.process.vitals import resident_size_of

if TYPE_CHECKING:
    from torana.process.supervisor import Supervisor

logger = logging.getLogger("torana")

Answer = dict[str, Any]


class Orders:
    """The ears of a supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._fleet = supervisor.fleet
        self._interrupts = 0
        self._had_terminal = _has_terminal()
        #: Commands that wait for the end of a reload, and the last one that was abandoned.
        self._waiting: list[tuple[int, float]] = []
        self._abandoned: tuple[str, float] | None = None
        self._meanings = {
            "SIGTERM": self._terminate,
            "SIGINT": self._interrupt,
            "SIGQUIT": self._quit,
            "SIGHUP": self._hang_up,
            "SIGTTIN": lambda heard, now: self.scale(self._fleet.wanted + 1, now),
            "SIGTTOU": lambda heard, now: self.scale(self._fleet.wanted - 1, now),
            "SIGUSR1": lambda heard, now: self.reopen_logs(),
            "SIGUSR2": self._replace,
            "SIGWINCH": self._pause,
        }

    def hear(self, heard: Heard, now: float) -> None:
        """Do what a signal asks for."""
        name = signal.Signals(heard.number).name
        logger.debug("%s from %s", name, f"process {heard.sender}" if heard.sender else "nobody known")
        if self._supervisor.handoff is not None and self._supervisor.handoff.pass_on(heard):
            return
        self._meanings[name](heard, now)

    # Signals

    def _terminate(self, heard: Heard, now: float) -> None:
        if self._supervisor.handoff is not None:
            self._supervisor.handoff.part()
        self.stop(now, f"SIGTERM{_sender(heard)}")

    def _interrupt(self, heard: Heard, now: float) -> None:
        self._interrupts += 1
        if self._interrupts > 1:
            self.abort(now, "a second SIGINT")
        else:
            self.stop(now, "SIGINT (again to stop at once)")

    def _quit(self, heard: Heard, now: float) -> None:
        if self._supervisor.handoff is not None:
            self._supervisor.handoff.part()
        self.abort(now, f"SIGQUIT{_sender(heard)}")

    def _hang_up(self, heard: Heard, now: float) -> None:
        """A wish for a reload, unless a terminal was closed: then the server ends with it, or (nohup) goes on."""
        is_closing = heard.is_from_terminal or (self._had_terminal and not _has_terminal())
        if is_closing and signal.SIGHUP in self._supervisor.inbox.ignored:
            logger.info("The terminal was closed; the server goes on (nohup)")
        elif is_closing:
            self.stop(now, "the terminal was closed")
        else:
            self.reload(now, f"SIGHUP{_sender(heard)}")

    def _pause(self, heard: Heard, now: float) -> None:
        """A terminal whose window is resized says the same, and means nothing by it."""
        if heard.is_from_terminal or (heard.is_from_terminal is None and _has_terminal()):
            return
        if self._fleet.mode is Mode.RUNNING:
            logger.info("The workers retire%s; the listeners stay open. SIGHUP starts workers again", _sender(heard))
            self._fleet.ask_pause()

    def _replace(self, heard: Heard, now: float) -> None:
        """Start the program that replaces this one."""
        supervisor = self._supervisor
        if supervisor.handoff is None:
            from torana.process.handoff import Handoff

            supervisor.handoff = Handoff(supervisor)
        supervisor.handoff.ask(now, f"SIGUSR2{_sender(heard)}")

    # What is asked for

    def stop(self, now: float, why: str) -> None:
        """Stop gracefully."""
        if self._fleet.mode in (Mode.STOPPING, Mode.ABORTING):
            return
        logger.info("Stopping: %s", why)
        if self._supervisor.handoff is not None:
            self._supervisor.handoff.cancel(now, signal.SIGTERM)
        self._fleet.ask_stop()
        self._supervisor.begin_to_stop(now, is_urgent=False)
        self._answer_waiting("the server stops")

    def abort(self, now: float, why: str) -> None:
        """Stop at once."""
        if self._fleet.mode is Mode.ABORTING:
            return
        logger.info("Stopping at once: %s", why)
        if self._supervisor.handoff is not None:
            self._supervisor.handoff.cancel(now, signal.SIGQUIT)
        self._fleet.ask_abort()
        self._supervisor.begin_to_stop(now, is_urgent=True)
        self._answer_waiting("the server stops")

    def reload(self, now: float, why: str) -> str:
        """Read the configuration anew and replace all workers, one after another; returns why not, or ""."""
        supervisor, fleet = self._supervisor, self._fleet
        if busy := self._busy():
            logger.warning("No reload now: %s", busy)
            return busy
        try:
            options = supervisor.reread()
        except ToranaError as error:
            logger.error("The reload is abandoned, all stays as it is: %s", error)
            self._abandoned = (str(error), now)
            return str(error)
        except Exception as error:
            logger.exception("The reload is abandoned, all stays as it is: the configuration cannot be read")
            self._abandoned = (str(error), now)
            return f"{type(error).__name__}: {error}"
        logger.info("Reloading: %s", why)
        options = _with_fixed(options, supervisor.options)
        workers, before = options.process.workers, supervisor.options.process.workers
        generation = fleet.ask_reload(now)
        supervisor.generations[generation] = options
        supervisor.use(options)
        supervisor.companions.reloading(now, generation, why)
        if workers != before:
            from torana.process.supervisor import workers_of

            if fleet.why_one:
                fleet.ask_scale(workers_of(options))  # for when more are borne
            else:
                self.scale(workers_of(options), now)
        return ""

    def _busy(self) -> str:
        """Why nothing about the workers can be changed now, or ""."""
        handoff, heir, mode = self._supervisor.handoff, self._supervisor.heir, self._fleet.mode
        if mode not in (Mode.RUNNING, Mode.PAUSED):
            return "another program has taken over" if mode is Mode.HANDED_OVER else "the server stops"
        if handoff is not None and handoff.is_under_way:
            return f"process {handoff.pid} is about to take over"
        if heir is not None and not heir.is_leading:
            return f"this program is about to take over from process {heir.pid}"
        return ""

    def scale(self, wanted: int, now: float) -> str:
        """Have another number of workers, at least one; returns why not, or ""."""
        before = self._fleet.wanted
        if wanted < 1:
            logger.warning("One worker stays; SIGWINCH retires all, SIGTERM stops the server")
            return ""
        if wanted == before:
            return ""
        if busy := self._busy():
            logger.warning("The number of workers stays: %s", busy)
            return busy
        if why := self._fleet.why_one:
            logger.warning("One worker stays: %s", why)
            return why
        logger.info("Workers: %d instead of %d", wanted, before)
        self._fleet.ask_scale(wanted)
        self._supervisor.companions.scaled(now, before, wanted)
        return ""

    def reopen_logs(self) -> None:
        """Open the files of all logs anew, after they were renamed."""
        supervisor = self._supervisor
        with contextlib.suppress(ToranaError):
            set_up_log(supervisor.options.log)
        supervisor.crew.tell(list(supervisor.crew.posts), {"do": "reopen"})

    def reload_is_over(self, failure: str) -> None:
        """Tell everybody who waited for it; ``failure`` is "" when all went well."""
        if failure:
            self._abandoned = (failure, time.monotonic())
        self._answer_waiting(failure)

    def _answer_waiting(self, failure: str) -> None:
        now = time.monotonic()
        waiting, self._waiting = self._waiting, []
        control = self._supervisor.companions.control
        for token, since in waiting:
            if control is not None:
                control.reply(token, _reload_answer(failure, self._fleet.generation, now - since))

    # Commands

    def answer(self, request: dict[str, Any]) -> Answer | None:
        """The answer to a command; None if it comes later."""
        now = time.monotonic()
        match request:
            case {"do": "status"}:
                return {"ok": True, **self._status(now)}
            case {"do": "reload", "token": int(token)}:
                failure = self.reload(now, "torana reload")
                if failure:
                    return _reload_answer(failure, 0, 0.0)
                self._waiting.append((token, now))
                return None
            case {"do": "scale", "workers": int(workers)}:
                was = self._fleet.wanted
                if why := self.scale(workers, now):
                    return {"ok": False, "why": why, "was": was, "wanted": self._fleet.wanted}
                return {"ok": True, "was": was, "wanted": self._fleet.wanted}
            case {"do": "stop", **rest}:
                if rest.get("now"):
                    self.abort(now, "torana stop --now")
                else:
                    self.stop(now, "torana stop")
                return {"ok": True, "pid": self._supervisor.pid}
            case {"do": "dump", "worker": int(worker)}:
                return self._dump(worker)
        return {"ok": False, "why": f"there is no command {request.get('do')!r}"}

    def _dump(self, worker: int) -> Answer:
        posts = self._supervisor.crew.posts
        if DUMP_SIGNAL is None:
            return {"ok": False, "why": "this system has no signal for it"}
        if worker and worker not in posts:
            return {"ok": False, "why": f"process {worker} is no worker of this server"}
        pids = [worker] if worker else sorted(posts)
        for pid in pids:
            self._supervisor.crew.signal(pid, DUMP_SIGNAL)
        return {"ok": True, "workers": pids}

    def _status(self, now: float) -> Answer:
        supervisor, fleet = self._supervisor, self._fleet
        abandoned = None
        if self._abandoned is not None:
            why, _, text = self._abandoned[0].partition("\n")
            abandoned = {"why": why, "text": text, "age_s": now - self._abandoned[1]}
        return {
            "pid": supervisor.pid,
            "version": __version__,
            "application": str(supervisor.news.application.get("application", "")),
            "mode": fleet.mode.value,
            "age_s": now - supervisor.began_s,
            "generation": fleet.generation,
            "wanted": fleet.wanted,
            "listening": supervisor.slots.addresses,
            "workers": [self._worker_status(pid, now) for pid in sorted(supervisor.crew.posts)],
            "services": [{"name": name, "pid": pid} for name, pid in supervisor.companions.services.pids.items()],
            "abandoned": abandoned,
        }

    def _worker_status(self, pid: int, now: float) -> dict[str, Any]:
        post, worker = self._supervisor.crew.posts[pid], self._fleet.workers[pid]
        reading = self._supervisor.vitals.reading(post)
        hung = "it hangs" if worker.is_hung else "it is stalled" if worker.is_stalled else ""
        return {
            "slot": worker.slot + 1,
            "pid": pid,
            "state": worker.state.value,
            "generation": worker.generation,
            "age_s": now - worker.spawned_s,
            "rss_bytes": worker.rss_bytes or resident_size_of(pid),
            "held_bytes": reading.held_bytes,
            "connections": reading.connections,
            "served": reading.ended,
            "running": reading.in_flight,
            "waiting": reading.queue,
            "worn": worker.worn or hung,
        }


def _reload_answer(failure: str, generation: int, took_s: float) -> Answer:
    if not failure:
        return {"ok": True, "generation": generation, "took_s": took_s}
    why, _, text = failure.partition("\n")
    return {"ok": False, "why": why, "text": text}


def _with_fixed(options: RunOptions, before: RunOptions) -> RunOptions:
    """New options without what a reload cannot change, which is said."""
    listen, process = before.net.listen, before.process
    if options.net.listen.binds != listen.binds:
        logger.warning("bind has changed: that takes a restart, or SIGUSR2; the old addresses stay")
    for name in ("pid_file", "umask", "control_socket", "services", "hooks", "preload"):
        if getattr(options.process, name) != getattr(process, name):
            logger.warning("%s has changed: that takes a restart, or SIGUSR2", name.removesuffix("_file"))
    fixed = replace(options.process, program=process.program)
    return replace(
        options, net=replace(options.net, listen=replace(options.net.listen, binds=listen.binds)), process=fixed
    )


def _sender(heard: Heard) -> str:
    return f" from process {heard.sender}" if heard.sender else ""


def _has_terminal() -> bool:
    return any(os.isatty(fd) for fd in (0, 1, 2))
