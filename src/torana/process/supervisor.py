"""The supervisor: waits for something to happen, notes it in the fleet, asks the plan, and has done what it says.

It holds the listeners and forks the workers; it never imports the application, never sees a request, has no threads and
no event loop. Never here: what to do about a worker (``plan``) and how (``deeds``), what a signal or a command means
(``orders``), what is heard of a worker (``news``), what it does (``member``).
"""

from __future__ import annotations

import gc
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
from torana.process.actions import Finish
from torana.process.bound import instead, why_one
from torana.process.crew import Crew, Post
from torana.process.deeds import Deeds
from torana.process.fleet import Fleet
from torana.process.inbox import Inbox
from torana.process.log import set_up_log
from torana.process.member import main as live_as_worker
from torana.process.news import News
from torana.process.options import RunOptions
from torana.process.orders import Orders
from torana.process.pid_file import PidFile, pid_file
from torana.process.plan import Rules, decide
from torana.process.slots import Slots
from torana.process.spawn import Born, Errand, keep_only, open_descriptors
from torana.process.vitals import Vitals
from torana.process.worker import foreseen, loop_factory

if TYPE_CHECKING:
    from torana.process.companions import Companions
    from torana.process.handoff import Handoff
    from torana.process.heir import Heir
    from torana.process.mailboxes import Mailboxes
    from torana.process.nursery import Nursery

logger = logging.getLogger("torana")

HEARD = (
    "SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGTTIN", "SIGTTOU", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGCHLD",
)  # fmt: skip

#: The control socket is opened when the server is ready, or after this.
_CONTROL_S = 0.2
#: How long before the workers, whose own timers may be a touch quicker, our copies of the listeners are closed.
_BEFORE_S = 0.05
#: The longest that a reload waits for the last old worker to leave its listeners.
_LEAVE_S = 2.0


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
    heir = None
    try:
        heir = heir_of(options, outside)
        with pid_file(options.process.pid_file, heir.pid if heir is not None else 0) as file:
            return Supervisor(options, reread, inbox, outside, file, heir).run()
    except Born as born:
        duty = born.duty
    except Exception as error:
        if heir is not None:
            heir.fail(error)
        raise
    finally:
        if os.getpid() == pid:
            inbox.close()
    if isinstance(duty, Errand):
        from torana.process.zygote import main as live_as_zygote

        duty = live_as_zygote(duty)  # returns in each worker that is forked from it, and nowhere else
    return live_as_worker(duty)


class Supervisor:
    """A server's main process. What is public here is for ``deeds`` and ``orders``."""

    def __init__(
        self, options: RunOptions, reread: Callable[[], RunOptions], inbox: Inbox, outside: set[int],
        file: PidFile, heir: Heir | None,
    ) -> None:  # fmt: skip
        self.pid = os.getpid()
        self.began_s = time.monotonic()
        self.options = options
        self.reread = reread
        self.inbox = inbox
        #: Descriptors that were open before us: what was given to the application, it shall have.
        self._outside = outside
        for notice in options.notices:
            logger.warning("%s", notice)
        self.pid_file = file
        #: What takes over from the program before us, and what hands over to the one after us (SIGUSR2).
        self.heir = heir
        self.handoff: Handoff | None = None
        estate = heir.estate if heir is not None else None
        self.slots = Slots(options.net.listen, dict(options.process.systemd), estate=estate)
        for warning in self.slots.warnings:
            logger.warning("%s", warning)
        self.fleet = fleet_of(options)
        self.fleet.slots = max(self.fleet.slots, len(self.slots))
        self.crew = Crew()
        #: What workers pass connections through; made when a worker is to have sessions of its own.
        self.mailboxes: Mailboxes | None = None
        self.vitals = Vitals(self.fleet, self.crew, self.slots)
        self.selector = selectors.DefaultSelector()
        #: What the workers of each generation run with.
        self.generations = {self.fleet.generation: options}
        #: Why the server ends with a failure.
        self.error: ToranaError | None = None
        self.is_finished = False
        self._rules = Rules.of(options)
        self._deeds = Deeds(self)
        self._orders = Orders(self)
        self.news = News(self)
        self._companions: Companions | None = None
        #: Where workers come from when the application is imported before them.
        self.nursery = nursery_of(self) if options.process.preload else None
        #: When to do what can wait: open the control socket, close the listeners.
        self._control_s = math.inf
        self._next_look_s = -math.inf
        self._close_s = math.inf
        #: A reload that is over and was not told of yet: its generation and why it failed; and when it is told anyway.
        self._to_tell: tuple[int, str] | None = None
        self._told_s = math.inf

    def run(self) -> int:
        """Serve until the end; returns the exit code, or raises what kept the server from serving.

        In a new worker this raises ``Born``.
        """
        try:
            if self._may_begin():
                self._decide()
            # The first workers are under way: what they do not need is made beside them.
            self._listen_to_signals()
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
        gc.freeze()  # what is here already, no worker's collector walks again: its memory stays shared
        if not self.options.process.hooks:
            return True
        self.inbox.open()
        return self.companions.starting(self.inbox.fileno())

    def _listen_to_signals(self) -> None:
        if self.inbox.fileno() < 0:
            self.inbox.open()
        self.selector.register(self.inbox.fileno(), selectors.EVENT_READ, self._take_signals)
        if self.heir is None:
            self._control_s = time.monotonic() + _CONTROL_S
        else:
            self.heir.join(self)

    def listen_to_commands(self) -> None:
        """Open the control socket, once."""
        if self._control_s == math.inf:
            return
        self._control_s = math.inf
        self.news.begin()
        control = self.companions.listen(self._orders.answer, self.heir.control if self.heir is not None else None)
        if control is not None:
            self.selector.register(control.fileno(), selectors.EVENT_READ, control.ready)

    @property
    def companions(self) -> Companions:
        """Services, hooks, systemd and the control socket; made when first needed."""
        if self._companions is None:
            from torana.process.companions import Companions

            is_heir = self.heir is not None and not self.heir.is_leading
            self._companions = Companions(self.options, self.pid, self.slots.addresses, is_heir=is_heir)
        return self._companions

    def lead(self, now: float) -> None:
        """The program before us has made way: we are the server."""
        self._control_s = now
        self.companions.lead(now)

    def told_to_stop(self, now: float, why: str) -> None:
        """A worker's application wants the server to end."""
        self._orders.stop(now, why)

    def bound_is_known(self, now: float, why: str) -> None:
        """The application bears one worker only, for this reason, if there is one."""
        if why:
            logger.info("%s", instead(self.fleet.asked, why))
            self.companions.scaled(now, self.fleet.asked, 1)

    def begin_to_stop(self, now: float, *, is_urgent: bool) -> None:
        """What the end of the server means for all but the workers."""
        delay_s = 0.0 if is_urgent else self.options.serve.timeouts.drain_delay_s
        if delay_s > 0:
            self._close_s = now + max(0.0, delay_s - _BEFORE_S)
        else:
            # Before the workers do: who comes after they have emptied their queues must be refused, not forgotten.
            self._close_s = math.inf
            self.slots.close()
        self.companions.stopping(now)
        if is_urgent:
            self.companions.kill()

    def _end(self) -> None:
        self.crew.close()
        self.slots.close()
        if self.mailboxes is not None:
            self.mailboxes.forget()
        if self.nursery is not None:
            self.nursery.close()
        self.selector.close()
        if self._companions is not None:
            self._companions.finish()

    def leave(self, slot: int | None, fd: int) -> list[Listener]:
        """In a new process: close all but its channel and the listeners of its slot (None has none); returns these."""
        ours = self.slots.filenos()
        if self.mailboxes is not None:
            ours |= self.mailboxes.filenos()
        self.inbox.forget()
        self.selector.close()
        if self._companions is not None:
            self._companions.forget()
        for other in (self.nursery, self.heir, self.handoff, self.mailboxes):
            if other is not None:
                other.forget()
        if self.options.log.config_file is not None:
            logging.shutdown()  # the worker opens its own
        self.slots.leave_to(slot)
        listeners = [] if slot is None else self.slots.listeners(slot)
        keep_only((self._outside - ours) | {listener.fileno() for listener in listeners} | {fd})
        return listeners

    # Waiting and deciding

    def _wait(self) -> None:
        now = time.monotonic()
        if self.heir is not None:
            self.heir.look(self, now)
        next_s = min(self._next_look_s, self.vitals.look(now), self._control_s, self._close_s, self._told_s)
        if self._companions is not None:
            next_s = min(next_s, self._companions.look(now))
        next_s = min(next_s, self.news.look(now))
        for other in (self.nursery, self.handoff):
            if other is not None:
                next_s = min(next_s, other.look(now))
        # A touch later than the moment itself, so that it has come when we look.
        for key, _ in self.selector.select(None if next_s == math.inf else max(0.0, next_s - now + 0.001)):
            key.data()
        self._do_what_is_due(time.monotonic())

    def _do_what_is_due(self, now: float) -> None:
        # Before the plan is asked: what is found here is for it to go by.
        self.vitals.look(now)
        self.news.look(now)
        if now >= self._control_s:
            self.listen_to_commands()
        if now >= self._close_s:
            self._close_s = math.inf
            self.slots.close()

    def _decide(self) -> None:
        """Have done what the plan says, until it says no more."""
        while not self.is_finished:
            now = time.monotonic()
            self.slots.grow(self.fleet.slots)
            self.tend_mail()
            if self.nursery is not None:
                self.nursery.tend(now)
            decision = decide(self.fleet, now, self._rules)
            for action in decision.actions:
                self._deeds.carry_out(action, now)
                self.fleet.note_action(action, now)
                self.tend_mail()
                self._deeds.follow_up(action, now)
            self._next_look_s = math.inf if decision.next_look_s is None else decision.next_look_s
            if any(isinstance(action, Finish) for action in decision.actions):
                # Only services are left to wait for.
                self._next_look_s = math.inf
                break
            if not decision.actions:
                break
        for post in self.crew.posts.values():
            self._listen_to(post)
        self._tell_of_reload(time.monotonic())

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
                self.news.bury(time.monotonic())
            else:
                self._orders.hear(heard, time.monotonic())

    # The mail between workers

    def roster_for(self, options: RunOptions) -> memoryview | None:
        """The memory that tells workers which slots serve, if they are to know; the mailboxes are made with it."""
        if not options.serve.affinity:
            return None
        if self.mailboxes is None:
            from torana.process.mailboxes import Mailboxes

            self.mailboxes = Mailboxes()
        self.tend_mail()
        return self.mailboxes.memory

    def tend_mail(self) -> None:
        """Let the workers know who serves: before anybody is told to leave, and once he was."""
        mailboxes = self.mailboxes
        if mailboxes is not None:
            mailboxes.note(self.fleet)
            try:
                mailboxes.grow(self.fleet.slots)
            except OSError as error:
                logger.error("No mailbox for another worker: %s; its sessions are not kept", error.strerror)
            mailboxes.introduce_all(self.crew)

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
        living = {worker.generation for worker in self.fleet.workers.values()} | {self.fleet.generation}
        self.generations = {number: self.generations[number] for number in sorted(living)}
        self._told_s = now + _LEAVE_S
        self._to_tell = (generation, failure)

    def _tell_of_reload(self, now: float) -> None:
        """Whoever reads of a completed reload, or waits for it, shall not meet the old code any more."""
        if self._to_tell is None or not (self.crew.is_settled or now >= self._told_s):
            return
        (generation, failure), self._to_tell, self._told_s = self._to_tell, None, math.inf
        if not failure:
            logger.info("Reloaded (generation %d)", generation)
        self.companions.reloaded(now, self.fleet.wanted, failure.partition("\n")[0])
        self._orders.reload_is_over(failure)


def heir_of(options: RunOptions, outside: set[int]) -> Heir | None:
    """What the program before us hands over; its descriptor is taken off those that the workers shall have."""
    if not options.process.handoff:
        return None
    from torana.process.heir import Heir

    heir = Heir(options.process.handoff)
    outside.discard(heir.fileno())
    return heir


def nursery_of(supervisor: Supervisor) -> Nursery | None:
    """What preloads, where the system allows it."""
    from torana.process.nursery import Nursery, can_preload

    if can_preload():
        return Nursery(supervisor)
    logger.warning("preload is not available on this system: each worker imports the application itself")
    return None


def fleet_of(options: RunOptions) -> Fleet:
    """As many workers as the options mean, if the application is not known already to bear one only."""
    asked = workers_of(options)
    why = why_one(*foreseen(options.application), options) if asked > 1 else ""
    if not why:
        return Fleet(asked)
    fleet = Fleet(1)
    fleet.note_bound(fleet.generation, why)
    fleet.ask_scale(asked)
    logger.info("%s", instead(asked, why))
    return fleet


def workers_of(options: RunOptions) -> int:
    """How many workers these options mean."""
    if options.process.workers:
        return options.process.workers
    from torana.process.cpus import worker_count

    count = worker_count()
    logger.info("workers = auto: %s", count.arithmetic)
    return count.workers
