"""The supervisor: waits for something to happen, notes it in the fleet, asks the plan, and has done what it says.

It holds the listeners and forks the workers; it never imports the application, never sees a request, has no threads and
no event loop. Never here: what to do about a worker (``plan``) and how (``deeds``), what a signal or a command means
(``orders``), what a worker does (``member``).
"""

from __future__ import annotations

import logging
import math
import os
import selectors
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from torana.base.errors import ToranaError
from torana.net.listener import Listener
from torana.process.channel import ChannelClosed, Message
from torana.process.crew import Crew, Post
from torana.process.deeds import Deeds
from torana.process.fleet import Fleet, Worker
from torana.process.inbox import Inbox
from torana.process.log import set_up_log
from torana.process.member import main as live_as_worker
from torana.process.options import RunOptions
from torana.process.pid_file import pid_file
from torana.process.plan import Rules, decide
from torana.process.slots import Slots
from torana.process.spawn import Born, keep_only, open_descriptors
from torana.process.states import Mode, State
from torana.process.vitals import Vitals
from torana.process.worker import loop_factory

if TYPE_CHECKING:
    from torana.process.companions import Companions
    from torana.process.death import MemoryEvents
    from torana.process.orders import Orders

logger = logging.getLogger("torana")

HEARD = (
    "SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGTTIN", "SIGTTOU", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGCHLD",
)  # fmt: skip


def run_supervised(options: RunOptions, reread: Callable[[], RunOptions]) -> int:
    """Serve with supervised workers until a signal stops it; returns the exit code, also in each worker.

    ``reread`` reads the configuration anew, for a reload. Raises ``BindError``, ``ConfigError`` or ``LoadError``.
    """
    outside = open_descriptors()
    set_up_log(options.log)
    if options.process.umask is not None:
        os.umask(options.process.umask)
    inbox = Inbox(HEARD)
    pid = os.getpid()
    try:
        with pid_file(options.process.pid_file):
            return Supervisor(options, reread, inbox, outside).run()
    except Born as born:
        duty = born.duty
    finally:
        if os.getpid() == pid:
            inbox.close()
    return live_as_worker(duty)


class Supervisor:
    """A server's main process. What is public here is for ``deeds`` and ``orders``."""

    def __init__(
        self, options: RunOptions, reread: Callable[[], RunOptions], inbox: Inbox, outside: set[int]
    ) -> None:
        self.pid = os.getpid()
        self.began_s = time.monotonic()
        self.options = options
        self.reread = reread
        self.inbox = inbox
        #: Descriptors that were open before us: what was given to the application, it shall have.
        self._outside = outside
        for notice in options.notices:
            logger.warning("%s", notice)
        self.slots = Slots(options.net.listen, dict(options.process.systemd))
        for warning in self.slots.warnings:
            logger.warning("%s", warning)
        self.fleet = Fleet(workers_of(options))
        self.crew = Crew()
        self.vitals = Vitals(self.fleet, self.crew, self.slots)
        self.selector = selectors.DefaultSelector()
        #: What the workers of each generation run with.
        self.generations = {self.fleet.generation: options}
        #: What the application is, in the words of the first worker that was ready.
        self.application: Message = {}
        #: Why the server ends with a failure.
        self.error: ToranaError | None = None
        self.is_finished = False
        self._rules = Rules.of(options)
        self._deeds = Deeds(self)
        self._orders: Orders | None = None
        self._companions: Companions | None = None
        self._memory_events: MemoryEvents | None = None
        self._next_look_s = -math.inf
        self._close_s = math.inf
        self._is_complete = False

    def run(self) -> int:
        """Serve until the end; returns the exit code, or raises what kept the server from serving.

        In a new worker this raises ``Born``.
        """
        try:
            if self._may_begin():
                self._decide()
            # The first workers are under way: what they do not need is made beside them.
            self._open_ears()
            while not self.is_finished:
                self._wait()
                self._decide()
        finally:
            if os.getpid() == self.pid:
                self._end()
        if self.error is not None:
            raise self.error
        logger.info("Stopped")
        return self.fleet.exit_code

    # The beginning and the end

    def _may_begin(self) -> bool:
        """See to what comes before the first worker; False if somebody wants us to stop."""
        loop_factory(self.options.process.loop)  # imported once for all workers
        if not self.options.process.hooks:
            return True
        self.inbox.open()
        return self.companions.starting(self.inbox.fileno())

    def _open_ears(self) -> None:
        from torana.process.death import memory_events
        from torana.process.orders import Orders

        orders = self._orders = Orders(self)
        if self.inbox.fileno() < 0:
            self.inbox.open()
        self.selector.register(self.inbox.fileno(), selectors.EVENT_READ, self._take_signals)
        control = self.companions.listen(orders.answer)
        if control is not None:
            self.selector.register(control.fileno(), selectors.EVENT_READ, control.ready)
        self._memory_events = memory_events()

    @property
    def companions(self) -> Companions:
        """Services, hooks, systemd and the control socket; made when first needed."""
        if self._companions is None:
            from torana.process.companions import Companions

            self._companions = Companions(self.options, self.pid, self.slots.addresses)
        return self._companions

    def begin_to_stop(self, now: float, *, is_urgent: bool) -> None:
        """What the end of the server means for all but the workers."""
        if is_urgent:
            self.slots.close()
            self.companions.stopping(now)
            self.companions.kill()
        elif self._close_s == math.inf:
            # Before the workers: who comes after they have emptied their queues must be refused, not forgotten.
            self._close_s = now + self.options.serve.timeouts.drain_delay_s
            self._close_slots(now)
            self.companions.stopping(now)

    def _close_slots(self, now: float) -> None:
        if now >= self._close_s:
            self._close_s = math.nan
            self.slots.close()

    def _end(self) -> None:
        self.crew.close()
        self.slots.close()
        self.selector.close()
        if self._companions is not None:
            self._companions.finish()

    def leave(self, slot: int, fd: int) -> list[Listener]:
        """In a new worker: close all but its channel and its listeners, and return these."""
        ours = self.slots.filenos()
        self.inbox.forget()
        self.selector.close()
        if self._companions is not None:
            self._companions.forget()
        if self.options.log.config_file is not None:
            logging.shutdown()  # the worker opens its own
        self.slots.leave_to(slot)
        listeners = self.slots.listeners(slot)
        keep_only((self._outside - ours) | {listener.fileno() for listener in listeners} | {fd})
        return listeners

    # Waiting and deciding

    def _wait(self) -> None:
        now = time.monotonic()
        times = [self._next_look_s, self.vitals.look(now), self.companions.look(now)]
        if not math.isnan(self._close_s):
            times.append(self._close_s)
        next_s = min(times)
        # A touch later than the moment itself, so that it has come when we look.
        for key, _ in self.selector.select(None if next_s == math.inf else max(0.0, next_s - now + 0.001)):
            key.data()
        self._close_slots(time.monotonic())

    def _decide(self) -> None:
        """Have done what the plan says, until it says no more."""
        while not self.is_finished:
            now = time.monotonic()
            self.slots.grow(self.fleet.slots)
            decision = decide(self.fleet, now, self._rules)
            for action in decision.actions:
                self._deeds.carry_out(action, now)
                self.fleet.note_action(action, now)
                self._deeds.follow_up(action, now)
            self._next_look_s = math.inf if decision.next_look_s is None else decision.next_look_s
            if not decision.actions or not (self.fleet.workers or self.fleet.mode is Mode.RUNNING):
                break
        for post in self.crew.posts.values():
            self._listen_to(post)

    def _listen_to(self, post: Post) -> None:
        """Hear a worker, and hear when its channel takes what waits for it."""
        if post.is_heard:
            key = self.selector.get_key(post.channel)
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if post.channel.has_waiting else 0)
            if key.events != events:
                self.selector.modify(post.channel, events, key.data)

    def _take_signals(self) -> None:
        for heard in self.inbox.take():
            if heard.number == signal.SIGCHLD:
                self._bury(time.monotonic())
            elif self._orders is not None:
                self._orders.hear(heard, time.monotonic())

    # What workers say, and their end

    def hear(self, post: Post) -> None:
        """Note what a worker says."""
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
            case "worn":
                self.fleet.note_worn(post.pid, str(message.get("why", "")) or "it says so")
            case other:
                logger.debug("%s says %r", post.describe(), other)

    def _note_ready(self, post: Post, message: Message, now: float) -> None:
        is_first = not self.fleet.has_been_ready
        self.fleet.note_ready(post.pid, now)
        worker = self.fleet.workers.get(post.pid)
        if worker is None or worker.state is not State.READY:
            return
        self.vitals.begin(post.pid, self.generations[post.generation].process.hang_s, now)
        if is_first:
            self._announce(message, now)
        level = logging.INFO if self._is_complete else logging.DEBUG
        logger.log(level, "%s is ready after %.0f ms", post.describe(), (now - worker.spawned_s) * 1000)
        if not self._is_complete and self.fleet.count(State.READY) >= self.fleet.wanted:
            self._is_complete = True
            took_ms = (now - self.began_s) * 1000
            logger.info("All workers (%d) are ready after %.0f ms", self.fleet.wanted, took_ms)

    def _announce(self, message: Message, now: float) -> None:
        self.application = message
        for address in self.slots.addresses:
            logger.info("Listening on %s", address)
        logger.info(
            "Serving %s (%s, %s, pid %d), workers: %d, the first is ready after %.0f ms",
            message.get("application"), message.get("interface"), message.get("loop"), self.pid, self.fleet.wanted,
            (now - self.began_s) * 1000,
        )  # fmt: skip
        self.companions.ready(now, self.fleet.wanted)

    def _note_failed(self, post: Post, message: Message, now: float) -> None:
        code, text = message.get("code"), str(message.get("text", ""))
        is_news = self.fleet.note_failed(post.pid, code if isinstance(code, int) else 1, text, now)
        if self.fleet.has_been_ready and self.fleet.reload is None:
            logger.error("%s cannot serve: %s", post.describe(), text if is_news else text.partition("\n")[0])

    def _deafen(self, post: Post) -> None:
        """A worker's channel has closed: it ends, or it closed what it should not have and cannot be led any more."""
        self.selector.unregister(post.channel)
        post.is_heard = False
        self.fleet.note_worn(post.pid, "it no longer speaks with its supervisor")

    def _bury(self, now: float) -> None:
        """Wait for every child that has ended: ours, and as process 1 whatever else was left to us."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            post = self.crew.posts.get(pid)
            if post is not None:
                self._note_gone(post, status, usage, now)
            elif not self.companions.note_gone(pid, status, now):
                logger.debug("Process %d, which is not ours, has ended", pid)

    def _note_gone(self, post: Post, status: int, usage: object, now: float) -> None:
        from torana.process.death import describe, memory_events

        if post.is_heard:
            self.hear(post)  # its last words
        before, self._memory_events = self._memory_events, memory_events()
        how = describe(post.pid, status, usage, before, self._memory_events, sent=post.sent)  # type: ignore[arg-type]
        worker = self.fleet.workers[post.pid]
        in_flight = self.vitals.reading(post).describe()
        self._say_gone(post, worker, status, how + (f"; {in_flight}" if in_flight else ""))
        if post.is_heard:
            self.selector.unregister(post.channel)
        self.crew.remove(post.pid)
        self.vitals.end(post.pid)
        self.fleet.note_gone(post.pid, now, how, was_killed=_is_stranger(status, post.sent, how))
        if self.options.process.hooks:
            self.companions.lost(now, post.pid, post.slot, post.generation, how)

    def _say_gone(self, post: Post, worker: Worker, status: int, how: str) -> None:
        is_expected = worker.state in (State.RETIRING, State.STOPPING)
        if is_expected and (os.WIFEXITED(status) or post.sent == os.WTERMSIG(status)):
            logger.debug("%s has ended: %s", post.describe(), how)
        else:
            logger.error("%s died: %s", post.describe(), how)

    # Reloads

    def use(self, options: RunOptions) -> None:
        """Go by these options from now on."""
        self.options = options
        self._rules = Rules.of(options)
        set_up_log(options.log)

    def reload_is_over(self, generation: int, failure: str, now: float) -> None:
        """A reload was completed, or abandoned for a reason."""
        if failure:
            logger.error("The reload is abandoned, the old code goes on serving: %s", failure)
            self.use(self.generations[self.fleet.generation])
        else:
            logger.info("Reloaded (generation %d)", generation)
        living = {worker.generation for worker in self.fleet.workers.values()} | {self.fleet.generation}
        self.generations = {number: self.generations[number] for number in sorted(living)}
        self.companions.reloaded(now, self.fleet.wanted, failure.partition("\n")[0])
        if self._orders is not None:
            self._orders.reload_is_over(failure)


def workers_of(options: RunOptions) -> int:
    """How many workers these options mean."""
    if options.process.workers:
        return options.process.workers
    from torana.process.cpus import worker_count

    count = worker_count()
    logger.info("workers = auto: %s", count.arithmetic)
    return count.workers


def _is_stranger(status: int, sent: int, how: str) -> bool:
    """Whether somebody outside ended a worker: that says nothing about the application."""
    if not os.WIFSIGNALED(status) or os.WTERMSIG(status) == sent:
        return False
    return os.WTERMSIG(status) in (signal.SIGKILL, signal.SIGTERM) and "lack of memory" not in how
