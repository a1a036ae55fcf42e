"""The poller nested in the event loop: one epoll (or kqueue) holds every socket, and the loop watches only that one.

When its descriptor is readable, one batch of ready sockets is served in a row; those that bring much come last, and
only for so long, so that a flood of uploads keeps nobody else waiting. The same table of watched descriptors is the
timer structure: each carries one deadline, and a sweep about once a second looks at them all, so that a request pays
for its timeouts with one assignment. Never here: protocols, buffers.
"""

from __future__ import annotations

import asyncio
import select
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any

from torana.base.burst import Burst, Sender
from torana.net.clock import Clock, now_s

#: Readiness bits; those of epoll, other pollers translate.
READ = 0x001
WRITE = 0x004
ERROR = 0x008
HANGUP = 0x010
#: The peer has sent FIN (EPOLLRDHUP).
PEER_CLOSED = 0x2000

# Compiled, the names above are C variables (poller.pxd); this keeps them importable from Python.
globals().update(READ=READ, WRITE=WRITE, ERROR=ERROR, HANGUP=HANGUP, PEER_CLOSED=PEER_CLOSED)

#: Ready descriptors served before the loop's other work gets its turn.
BATCH = 256

#: How long (seconds) those that bring much are served in one turn; more of them have theirs in the next.
_BULK_S = 0.004

#: A sweep that is as many ticks late is made without its timer.
_LATE_TICKS = 3


class Watched(Sender):
    """Something with a descriptor, told when it is ready and when its deadline (monotonic seconds, 0 none) is over."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.deadline = 0.0
        #: Served after all others of a batch: a listener must not hand out a descriptor that a later, stale
        #: event of the same batch still names.
        self.is_last = False
        #: It brings much: served after all others of a batch, in turn with those of its kind.
        self.is_bulky = False
        #: Waits for that.
        self.is_queued = False

    def ready(self, events: int) -> None:
        """Some of the readiness bits are set."""

    def expired(self, now: float) -> None:
        """The deadline has passed; set a new one, or 0."""

    def woken(self) -> None:
        """``Poller.wake`` was called for this, from any thread."""

    def failed(self) -> None:
        """One of the above has raised, which is a bug; let go of what is held."""


class Poller:
    """Watches descriptors for the loop that it is attached to.

    All methods but ``wake`` are for the loop's thread, or for whoever has its turn (``turn``).
    """

    def __init__(self, clock: Clock, tick_s: float = 1.0) -> None:
        self.clock = clock
        self.tick_s = tick_s
        #: Called after each sweep with the clock's now.
        self.on_tick: list[Callable[[float], None]] = []
        #: Called on the loop's thread after each batch. While it lasts, one other thread at a time may call ``turn``.
        self.after_batch: Callable[[], None] | None = None
        self._table: list[Any] = [None] * 256
        self._woken: deque[Watched] = deque()
        self._last: deque[Watched] = deque()
        self._bulky: deque[tuple[Watched, int]] = deque()
        self._burst = Burst()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._sweep_due = 0.0
        self._is_last_coming = False

    # Life

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to serve as a reader of ``loop``."""
        self._loop = loop
        self._open()
        self._timer = loop.call_later(self.tick_s, self._sweep)
        self._sweep_due = monotonic() + _LATE_TICKS * self.tick_s
        self._catch_up()

    def detach(self) -> None:
        """Stop serving; descriptors still watched are forgotten, not closed."""
        self._let_leave()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._close()
        self._table = []
        self._bulky.clear()
        self._loop = None

    # The table

    def watch(self, watched: Watched, events: int) -> None:
        """Begin to watch; level-triggered."""
        fd = watched.fd
        while fd >= len(self._table):
            self._table.extend([None] * len(self._table))
        self._add(fd, events)
        self._table[fd] = watched

    def change(self, watched: Watched, events: int) -> None:
        """Watch for other events from now on."""
        self._change(watched.fd, events)

    def forget(self, watched: Watched) -> None:
        """Stop watching; must be called before the descriptor is closed."""
        watched.is_queued = False
        fd = watched.fd
        if 0 <= fd < len(self._table) and self._table[fd] is watched:
            self._table[fd] = None
            try:
                self._remove(fd)
            except OSError:
                # Closing the descriptor, which comes next, removes it too.
                pass

    def watched(self) -> list[Watched]:
        """All that is watched now."""
        return [entry for entry in self._table if entry is not None]

    def wake(self, watched: Watched) -> None:
        """Have ``watched.woken()`` called on the loop's thread; safe from any thread."""
        self._woken.append(watched)
        loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(self._run_woken)

    def later(self, watched: Watched) -> None:
        """Have ``watched.woken()`` called soon, from the loop's own thread."""
        # The call first: one too many does no harm, but nobody may wait for one that memory did not suffice for.
        if self._loop is not None:
            self._loop.call_soon(self._run_woken)
        self._woken.append(watched)

    def last(self, watched: Watched) -> None:
        """As ``later``, for what takes long: of all such, one a turn of the loop."""
        self._last.append(watched)
        self._call_last()

    def _call_last(self) -> None:
        if self._last and not self._is_last_coming and self._loop is not None:
            self._loop.call_soon(self._run_last)
            self._is_last_coming = True

    # Answers that leave together

    def keeps(self, watched: Watched) -> bool:
        """Whether something small should wait for others.

        Then ``watched.leave()`` is called when the loop has done what is ready now, or earlier if that takes longer
        than a moment.
        """
        loop = self._loop
        now = monotonic()
        burst = self._burst
        if not burst.takes(now) or loop is None:
            return False
        if burst.is_due(now):
            self._let_leave()
        if burst.is_empty():
            # Before it is kept, as in ``later``.
            loop.call_soon(self._let_leave)
        burst.add(watched, now)
        return True

    def _let_leave(self) -> None:
        sender = self._burst.pop()
        while sender is not None:
            try:
                sender.leave()
            except Exception as error:
                assert isinstance(sender, Watched)
                self._report(sender, error)
            sender = self._burst.pop()

    # The batch

    def turn(self) -> None:
        """Do once what the loop's thread would do now: for another thread, as long as that one stands still."""
        for _ in range(len(self._woken)):
            self._run_woken()
        self._serve_batch()
        self._let_leave()

    def _run(self) -> None:
        self._serve_batch()
        if self.after_batch is not None:
            self.after_batch()

    def serve(self, batch: list[tuple[int, int]]) -> None:
        """Tell each ready descriptor; what one of them raises is reported and ends nobody else's turn."""
        self.clock.refresh()
        if self.clock.now > self._sweep_due:
            # The timer was lost, to the end of memory: without it no deadline would ever be over.
            self._sweep()
        last: list[tuple[Watched, int]] | None = None
        table = self._table
        size = len(table)
        for fd, events in batch:
            watched = table[fd] if fd < size else None
            if watched is None:
                continue
            if watched.is_last:
                if last is None:
                    last = []
                last.append((watched, events))
                continue
            if watched.is_bulky:
                if not watched.is_queued:
                    watched.is_queued = True
                    self._bulky.append((watched, events))
                continue
            self._tell_ready(watched, events)
        if last is not None:
            for watched, events in last:
                self._tell_ready(watched, events)
        if self._bulky:
            self._serve_bulky()

    def _tell_ready(self, watched: Watched, events: int) -> None:
        try:
            watched.ready(events)
        except Exception as error:
            self._report(watched, error)

    def _serve_bulky(self) -> None:
        # Level-triggered: whoever is left over makes the next turn come at once.
        end = now_s() + _BULK_S
        while self._bulky:
            watched, events = self._bulky.popleft()
            # Not so if it was told for another reason, or forgotten: closed or lent.
            if watched.is_queued:
                watched.is_queued = False
                self._tell_ready(watched, events)
                if now_s() >= end:
                    break

    def _run_woken(self) -> None:
        # One of them: each has a call of its own, so that whoever wakes himself again waits for the turns of others.
        self.clock.refresh()
        if self._woken:
            watched = self._woken.popleft()
            try:
                watched.woken()
            except Exception as error:
                self._report(watched, error)

    def _run_last(self) -> None:
        self._is_last_coming = False
        if self._last:
            self._woken.appendleft(self._last.popleft())
            self._run_woken()
        self._call_last()

    def _sweep(self) -> None:
        # First of all the next one: whatever fails here, deadlines go on.
        self.clock.refresh()
        now = self.clock.now
        self._sweep_due = now + _LATE_TICKS * self.tick_s
        if self._timer is not None:
            self._timer.cancel()
        if self._loop is not None:
            self._timer = self._loop.call_later(self.tick_s, self._sweep)
        self._catch_up()
        # What has come in time is heard first, however late this loop is.
        self._serve_ready()
        self._expire(now)
        for told in self.on_tick:
            try:
                told(now)
            except Exception as error:
                self._complain("error in a periodic task", error)

    def _catch_up(self) -> None:
        # Whoever waits for a call that could not be made (``wake`` cannot make it first).
        if self._loop is not None:
            for _ in range(len(self._woken)):
                self._loop.call_soon(self._run_woken)
        self._call_last()
        self._let_leave()

    def _expire(self, now: float) -> None:
        for index in range(len(self._table)):
            watched = self._table[index]
            if watched is None or not 0.0 < watched.deadline <= now:
                continue
            if watched.is_queued:
                # Something has come, only not its turn.
                watched.is_queued = False
                self._tell_ready(watched, READ)
            if 0.0 < watched.deadline <= now:
                try:
                    watched.expired(now)
                except Exception as error:
                    self._report(watched, error)

    def _report(self, watched: Watched, error: Exception) -> None:
        self._complain(f"error while serving {type(watched).__name__}", error)
        try:
            watched.failed()
        except Exception as another:
            self._complain("error while giving up", another)

    def _complain(self, message: str, error: Exception) -> None:
        if self._loop is not None:
            self._loop.call_exception_handler({"message": message, "exception": error})

    # What each kind of poller does in its own way

    def _open(self) -> None:
        raise NotImplementedError

    def _close(self) -> None:
        raise NotImplementedError

    def _add(self, fd: int, events: int) -> None:
        raise NotImplementedError

    def _change(self, fd: int, events: int) -> None:
        raise NotImplementedError

    def _remove(self, fd: int) -> None:
        raise NotImplementedError

    def _serve_batch(self) -> None:
        """Tell those that are ready now, but not so many that nobody else gets a turn."""

    def _serve_ready(self) -> None:
        """Tell all that are ready now; nothing where only the loop knows which are."""


class EpollPoller(Poller):
    """Linux."""

    def _open(self) -> None:
        assert self._loop is not None
        self._epoll = select.epoll()
        self._poll = self._epoll.poll
        self._loop.add_reader(self._epoll.fileno(), self._run)

    def _close(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    def _serve_batch(self) -> None:
        self.serve(self._poll(0, BATCH))

    def _serve_ready(self) -> None:
        # All in one, since those that stay ready would come again.
        self.serve(self._poll(0, len(self._table)))

    def _add(self, fd: int, events: int) -> None:
        self._epoll.register(fd, events)

    def _change(self, fd: int, events: int) -> None:
        self._epoll.modify(fd, events)

    def _remove(self, fd: int) -> None:
        self._epoll.unregister(fd)
