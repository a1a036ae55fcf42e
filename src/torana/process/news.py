"""What is heard of the workers: what they say, and how they end. Noted in the fleet, and logged.

Never here: what follows from it (``plan``).
"""

from __future__ import annotations

import logging
import math
import os
import signal
import time
from typing import TYPE_CHECKING

from torana.base.worker_policy import ANY
from torana.process.bound import why_one
from torana.process.channel import ChannelClosed, Message
from torana.process.crew import Post
from torana.process.fleet import Worker
from torana.process.states import State

if TYPE_CHECKING:
    from torana.process.death import MemoryEvents
    from torana.process.supervisor import Supervisor

logger = logging.getLogger("torana")

#: How long after its channel closed a worker that still lives is given up.
_SILENCE_S = 2.0


class News:
    """The eyes of a supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._fleet = supervisor.fleet
        self._crew = supervisor.crew
        #: What the kernel said of memory when it was asked last: first as soon as there is time for it.
        self._memory_events: MemoryEvents | None = None
        #: Workers that no longer speak, and when they are given up.
        self._silent: dict[int, float] = {}
        self._is_complete = False
        #: What the application is, in the words of the first worker that was ready.
        self.application: Message = {}

    def begin(self) -> None:
        """Do what could wait until the first worker is ready."""
        from torana.process.death import memory_events

        self._memory_events = memory_events()

    def look(self, now: float) -> float:
        """Give up who has been silent for long; returns when to look again."""
        for pid in [pid for pid, silent_s in self._silent.items() if now >= silent_s]:
            del self._silent[pid]
            self._fleet.note_worn(pid, "it no longer speaks with its supervisor")
        return min(self._silent.values(), default=math.inf)

    def hear(self, post: Post) -> None:
        """Note what a worker says; nothing if it was waited for since it spoke."""
        if not post.is_heard:
            return
        now = time.monotonic()
        post.channel.flush()
        try:
            heard = post.channel.receive()
        except ChannelClosed:
            self._deafen(post)
            return
        for message, fds in heard:
            for fd in fds:
                os.close(fd)
            self._note(post, message, now)

    def _note(self, post: Post, message: Message, now: float) -> None:
        match message.get("say"):
            case "ready":
                self._note_ready(post, message, now)
            case "failed":
                self._note_failed(post, message, now)
            case "surplus":
                is_news = self._fleet.note_surplus(post.pid, why := str(message.get("why", "")), now)
                self._supervisor.bound_is_known(now, why if is_news else "")
            case "worn":
                self._fleet.note_worn(post.pid, str(message.get("why", "")) or "it says so")
            case "stop":
                self._supervisor.told_to_stop(now, str(message.get("why", "")) or f"{post.describe()} says so")
            case "retiring":
                post.owes_leave = False
            case "stopped":
                post.is_obedient = True
            case other:
                logger.debug("%s says %r", post.describe(), other)

    def _note_ready(self, post: Post, message: Message, now: float) -> None:
        is_first = not self._fleet.has_been_ready
        self._fleet.note_ready(post.pid, now)
        worker = self._fleet.workers.get(post.pid)
        if worker is None or worker.state is not State.READY:
            return
        policy, why = str(message.get("policy", "")) or ANY, str(message.get("policy_why", ""))
        why = why_one(policy, why, self._supervisor.generations[post.generation])
        is_bound = self._fleet.note_bound(post.generation, why)
        self._supervisor.bound_is_known(now, why if is_bound else "")
        # Before anybody reads that all are ready, they know of each other.
        self._supervisor.tend_mail()
        self._supervisor.vitals.begin(post.pid, self._supervisor.generations[post.generation].process.hang_s, now)
        if is_first:
            self._announce(message, now)
        level = logging.INFO if self._is_complete else logging.DEBUG
        logger.log(level, "%s is ready after %.0f ms", post.describe(), (now - worker.spawned_s) * 1000)
        if not self._is_complete and self._fleet.count(State.READY) >= self._fleet.wanted:
            self._is_complete = True
            took_ms = (now - self._supervisor.began_s) * 1000
            logger.info("All workers (%d) are ready after %.0f ms", self._fleet.wanted, took_ms)

    def _announce(self, message: Message, now: float) -> None:
        self.application = message
        supervisor = self._supervisor
        for address in supervisor.slots.addresses:
            logger.info("Listening on %s", address)
        logger.info("Interface %s: %s (%s)", message.get("interface"), message.get("why"), message.get("found"))
        logger.info(
            "Serving %s (%s, %s, pid %d), workers: %d, the first is ready after %.0f ms",
            message.get("application"), message.get("interface"), message.get("loop"), supervisor.pid,
            self._fleet.wanted, (now - supervisor.began_s) * 1000,
        )  # fmt: skip
        if keys := supervisor.options.serve.affinity:
            logger.info("Sessions stay with their worker, by %s", ", else ".join(key.describe() for key in keys))
        supervisor.listen_to_commands()
        supervisor.companions.ready(now, self._fleet.wanted)

    def _note_failed(self, post: Post, message: Message, now: float) -> None:
        code, text = message.get("code"), str(message.get("text", ""))
        is_news = self._fleet.note_failed(post.pid, code if isinstance(code, int) else 1, text, now)
        if self._fleet.has_been_ready and self._fleet.reload is None:
            logger.error("%s cannot serve: %s", post.describe(), text if is_news else text.partition("\n")[0])

    def _deafen(self, post: Post) -> None:
        """A worker's channel has closed: it ends, or it closed what it should not have and cannot be led any more."""
        self._supervisor.selector.unregister(post.channel)
        post.is_heard = False
        self._silent[post.pid] = time.monotonic() + _SILENCE_S

    def bury(self, now: float) -> None:
        """Wait for every child that has ended: ours, and as process 1 whatever else was left to us."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            post = self._crew.posts.get(pid)
            nursery, handoff = self._supervisor.nursery, self._supervisor.handoff
            if post is not None:
                self._note_gone(post, status, usage, now)
                continue
            if nursery is not None and nursery.note_gone(pid, status, usage, now):
                continue
            if handoff is not None and handoff.note_gone(pid, status, now):
                continue
            if not self._supervisor.companions.note_gone(pid, status, now):
                logger.debug("Process %d, which is not ours, has ended", pid)

    def _note_gone(self, post: Post, status: int, usage: object, now: float) -> None:
        self.hear(post)  # its last words
        how = self.explain(post.pid, status, usage, post.sent)
        worker = self._fleet.workers[post.pid]
        in_flight = self._supervisor.vitals.reading(post).describe()
        self._say_gone(post, worker, status, how + (f"; {in_flight}" if in_flight else ""))
        if post.is_heard:
            self._supervisor.selector.unregister(post.channel)
            post.is_heard = False
        self._crew.remove(post.pid)
        self._silent.pop(post.pid, None)
        self._supervisor.vitals.end(post.pid)
        self._fleet.note_gone(post.pid, now, how, was_killed=post.is_obedient or is_stranger(status, post.sent, how))
        if self._supervisor.options.process.hooks:
            self._supervisor.companions.lost(now, post.pid, post.slot, post.generation, how)

    def explain(self, pid: int, status: int, usage: object, sent: int) -> str:
        """Why a child ended, which we ourselves have sent this signal last (0: none)."""
        from torana.process.death import describe, memory_events

        before, after = self._memory_events, memory_events()
        self._memory_events = after
        # Where nobody had asked before, what was killed in earlier days would be taken for this one.
        return describe(pid, status, usage, before or after, after, sent=sent)  # type: ignore[arg-type]

    def _say_gone(self, post: Post, worker: Worker, status: int, how: str) -> None:
        is_expected = post.is_obedient or worker.state in (State.RETIRING, State.STOPPING)
        if is_expected and (os.WIFEXITED(status) or post.sent == os.WTERMSIG(status)):
            logger.debug("%s has ended: %s", post.describe(), how)
        else:
            logger.error("%s died: %s", post.describe(), how)


def is_stranger(status: int, sent: int, how: str) -> bool:
    """Whether somebody outside ended a worker: that says nothing about the application."""
    if not os.WIFSIGNALED(status) or os.WTERMSIG(status) == sent:
        return False
    return os.WTERMSIG(status) in (signal.SIGKILL, signal.SIGTERM) and "lack of memory" not in how
