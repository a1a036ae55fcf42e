"""Where workers come from with preload: a zygote for each generation, kept alive, asked to fork, and let go.

A zygote is a child of the supervisor that has imported the application (``zygote``). There is one for the present
generation, and during a reload one for the generation before, in case the new one does not work. The workers it forks
are the supervisor's own: Linux makes orphans the children of who asked for it (PR_SET_CHILD_SUBREAPER), so that their
ends are seen whether their zygote lives or not, with one way of waiting instead of two. Never here: which workers there
shall be (``plan``).
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import select
import selectors
import signal
import time
from errno import ECHILD, EPIPE, ETIMEDOUT, errorcode
from typing import TYPE_CHECKING, NoReturn

from msgspec import Struct, field

from torana.process.channel import Channel, ChannelClosed, ChannelFull, Message
from torana.process.dump import DUMP_SIGNAL
from torana.process.exit_codes import FAILED
from torana.process.kinship import adopt_orphans
from torana.process.news import is_stranger
from torana.process.spawn import Born, Errand, Seat, fork
from torana.process.states import Mode

if TYPE_CHECKING:
    from torana.process.supervisor import Supervisor

logger = logging.getLogger("torana")

#: How long the supervisor waits for a fork, deaf to all else: it takes milliseconds, unless something is very wrong.
_FORK_S = 10.0
#: From the end of an import's time to the signals that end it, as with a worker that is not ready in time.
_ABORT_S, _KILL_S = 2.0, 7.0
#: How long a zygote that is not needed any more may take to end.
_LEAVE_S = 5.0
#: After a failure the next zygote waits, twice as long each time; one that was of use for this long is no failure.
_RETRY_S, _LONGEST_RETRY_S = 0.1, 30.0
_EARLY_S = 10.0


class Zygote(Struct):
    """One of them, as the supervisor sees it."""

    pid: int
    generation: int
    channel: Channel
    began_s: float
    #: How long it may take to import the application; 0 is no bound.
    boot_s: float = 0.0
    #: When it had imported the application.
    ready_s: float | None = None
    is_heard: bool = True
    is_dismissed: bool = False
    #: It has said why the application cannot be imported.
    has_failed: bool = False
    #: The signal that we sent it last, 0 for none.
    sent: int = 0
    #: Signals to send, and when.
    due: list[tuple[float, int]] = field(default_factory=list)

    @property
    def is_ready(self) -> bool:
        """Whether it forks when it is told to."""
        return self.ready_s is not None and self.is_heard and not self.is_dismissed

    def signal(self, number: int) -> None:
        """Send a signal; it was not waited for, so the process id is its own."""
        self.sent = number
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


def can_preload() -> bool:
    """Whether this system gives orphans to us. If so, it does from now on."""
    return adopt_orphans()


def _close(fds: list[int]) -> None:
    """No zygote has descriptors to give."""
    for fd in fds:
        os.close(fd)


class Nursery:
    """All zygotes of a server, by process id; the crew's spawner."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._fleet = supervisor.fleet
        self._places = [(listener.address, listener.tls) for listener in supervisor.slots.listeners(0)]
        self._zygotes: dict[int, Zygote] = {}
        #: Failures in a row, the generation they happened to, and when the last one did.
        self._setbacks = 0
        self._setback_generation = 0
        self._setback_s = 0.0
        supervisor.crew.spawner = self

    # Which zygotes there shall be

    def tend(self, now: float) -> None:
        """See to it that there is a zygote for each generation that may be forked from, and no other."""
        wanted = self._wanted()
        for zygote in self._zygotes.values():
            if zygote.generation not in wanted and not zygote.is_dismissed:
                self._dismiss(zygote, now)
        generation = self._fleet.generation
        if generation in wanted and self._of(generation) is None and now >= self._start_s(generation):
            self._start(generation, now)
        present = self._of(generation)
        self._fleet.is_preloading = present is None or not present.is_ready

    def _wanted(self) -> set[int]:
        fleet = self._fleet
        if fleet.mode not in (Mode.RUNNING, Mode.PAUSED):
            return set()
        return {fleet.generation} if fleet.reload is None else {fleet.generation, fleet.reload.before}

    def _of(self, generation: int) -> Zygote | None:
        for zygote in self._zygotes.values():
            if zygote.generation == generation and not zygote.is_dismissed:
                return zygote
        return None

    def _start_s(self, generation: int) -> float:
        """Before this no zygote of the generation is started."""
        if not self._setbacks or generation != self._setback_generation:
            return -math.inf
        return self._setback_s + min(_RETRY_S * 2.0 ** min(self._setbacks - 1, 60), _LONGEST_RETRY_S)

    def _start(self, generation: int, now: float) -> None:
        """Fork a zygote; in the new process this raises ``Born``."""
        supervisor = self._supervisor
        options = supervisor.generations[generation]
        roster = supervisor.roster_for(options)
        try:
            ours, theirs = Channel.pair()
            with supervisor.inbox.held():
                pid = fork()
                if pid == 0:
                    ours.close()
                    supervisor.crew.close()
                    supervisor.leave(None, theirs.fileno())
                    row, pid = supervisor.vitals.row, supervisor.pid
                    raise Born(Errand(options, generation, now, pid, theirs, self._places, row, roster))
        except OSError as error:
            logger.error("Preload: no process can be started now: %s", error.strerror or error)
            self._set_back(generation, now)
            return
        theirs.close()
        boot_s = options.process.boot_s
        zygote = self._zygotes[pid] = Zygote(pid, generation, ours, now, boot_s)
        if boot_s:
            zygote.due = [
                (now + boot_s, int(DUMP_SIGNAL or 0)),
                (now + boot_s + _ABORT_S, signal.SIGABRT),
                (now + boot_s + _KILL_S, signal.SIGKILL),
            ]
        self._fleet.preloaded_generation = max(generation, self._fleet.preloaded_generation)
        supervisor.selector.register(ours, selectors.EVENT_READ, lambda: self._hear(zygote))
        logger.debug("Preload: process %d imports the application (generation %d)", pid, generation)

    def _dismiss(self, zygote: Zygote, now: float) -> None:
        """Let it go: it ends when its channel closes, or by a signal if it still imports the application."""
        logger.debug("Preload: process %d (generation %d) is not needed any more", zygote.pid, zygote.generation)
        zygote.is_dismissed = True
        self._deafen(zygote)
        if zygote.ready_s is None and not zygote.has_failed:
            zygote.signal(signal.SIGTERM)
        zygote.due = [(now + _LEAVE_S, signal.SIGKILL)]

    def _set_back(self, generation: int, now: float) -> None:
        if generation != self._setback_generation:
            self._setbacks = 0
        self._setbacks += 1
        self._setback_generation, self._setback_s = generation, now

    def look(self, now: float) -> float:
        """Do what is due; returns when to look again."""
        next_s = math.inf
        for zygote in self._zygotes.values():
            while zygote.due and now >= zygote.due[0][0]:
                self._press(zygote, zygote.due.pop(0)[1])
            if zygote.due:
                next_s = min(next_s, zygote.due[0][0])
        generation = self._fleet.generation
        if generation in self._wanted() and self._of(generation) is None:
            next_s = min(next_s, self._start_s(generation))
        return next_s

    def _press(self, zygote: Zygote, number: int) -> None:
        if number == DUMP_SIGNAL:
            took_s = zygote.boot_s
            logger.error("Preload: process %d still imports after %g s; what it is doing:", zygote.pid, took_s)
        if number:
            zygote.signal(number)

    # What zygotes do

    def fork(self, seat: Seat, channel: Channel) -> int:
        """Have a worker forked. Raises ``OSError``."""
        zygote = self._of(seat.generation)
        if zygote is None or not zygote.is_ready:
            raise OSError(ECHILD, "the application is not imported yet")
        listening = [listener.fileno() for listener in self._supervisor.slots.listeners(seat.slot)]
        order = {"do": "fork", "slot": seat.slot, "position": seat.position, "began_s": seat.began_s}
        try:
            zygote.channel.send(order, [channel.fileno(), *listening])
        except ChannelFull:
            raise OSError(EPIPE, "the process that workers are forked from does not listen") from None
        return self._forked(zygote)

    def _forked(self, zygote: Zygote) -> int:
        """The answer to an order."""
        answers = select.poll()
        answers.register(zygote.channel, select.POLLIN)
        end_s = time.monotonic() + _FORK_S
        while (left_s := end_s - time.monotonic()) > 0:
            answers.poll(left_s * 1000)
            try:
                heard = zygote.channel.receive()
            except ChannelClosed:
                self._deafen(zygote)
                raise OSError(EPIPE, "the process that workers are forked from has ended") from None
            for message, fds in heard:
                _close(fds)
                match message:
                    case {"say": "forked", "pid": int(pid)} if self._is_new_child(pid):
                        return pid
                    case {"say": "forked"}:
                        self._distrust(zygote, message)
                    case {"say": "not forked", "errno": int(number)} if number in errorcode:
                        raise OSError(number, os.strerror(number))
                    case {"say": "not forked"}:
                        raise OSError(EPIPE, "the process that workers are forked from could not fork")
        logger.error("Preload: process %d does not fork within %g s: it is replaced", zygote.pid, _FORK_S)
        self._deafen(zygote)
        zygote.signal(signal.SIGKILL)
        raise OSError(ETIMEDOUT, "the process that workers are forked from does not answer")

    def _is_new_child(self, pid: int) -> bool:
        """Whether a process is a child of ours that we know nothing of yet: the application may be lying to us."""
        if pid <= 0 or pid in self._zygotes or pid in self._supervisor.crew.posts:
            return False
        try:
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except (OSError, OverflowError):
            return False
        return True

    def _distrust(self, zygote: Zygote, message: Message) -> NoReturn:
        logger.error(
            "Preload: process %d says that it forked process %.80r, which is no child of ours: it is replaced",
            zygote.pid,
            message.get("pid"),
        )
        self._deafen(zygote)
        zygote.signal(signal.SIGKILL)
        raise OSError(ECHILD, "what the process that workers are forked from calls a worker is no child of ours")

    def _hear(self, zygote: Zygote) -> None:
        if not zygote.is_heard:
            return
        try:
            heard = zygote.channel.receive()
        except ChannelClosed:
            self._deafen(zygote)
            return
        for message, fds in heard:
            _close(fds)
            self._note(zygote, message, time.monotonic())

    def _note(self, zygote: Zygote, message: Message, now: float) -> None:
        match message.get("say"):
            case "loaded":
                zygote.ready_s = now
                zygote.due.clear()
            case "failed":
                zygote.has_failed = True
                code, text = message.get("code"), str(message.get("text", ""))
                self._note_failed(zygote, code if isinstance(code, int) else FAILED, text, now)

    def _note_failed(self, zygote: Zygote, code: int, text: str, now: float) -> None:
        fleet = self._fleet
        is_news = fleet.note_preload_failed(zygote.generation, code, text, now)
        # A reload says so itself, and a start ends with it.
        if fleet.has_been_ready and fleet.reload is None:
            shown = text if is_news else text.partition("\n")[0]
            logger.error("Preload: the application cannot be imported: %s", shown)

    def _deafen(self, zygote: Zygote) -> None:
        """Its channel is closed, from here or from there: there is no other use for it."""
        if zygote.is_heard:
            zygote.is_heard = False
            self._supervisor.selector.unregister(zygote.channel)
            zygote.channel.close()
            zygote.due = [(time.monotonic() + _LEAVE_S, signal.SIGKILL)]

    # Their end

    def note_gone(self, pid: int, status: int, usage: object, now: float) -> bool:
        """A child was waited for; whether it was one of ours."""
        zygote = self._zygotes.get(pid)
        if zygote is None:
            return False
        self._hear(zygote)  # its last words
        del self._zygotes[pid]
        self._deafen(zygote)
        how = self._supervisor.news.explain(pid, status, usage, zygote.sent)
        if zygote.is_dismissed or zygote.generation not in self._wanted():
            logger.debug("Preload: process %d has ended: %s", pid, how)
            return True
        self._note_lost(zygote, how, is_stranger(status, zygote.sent, how), now)
        return True

    def _note_lost(self, zygote: Zygote, how: str, was_killed: bool, now: float) -> None:
        """One that was needed."""
        if zygote.ready_s is not None and now - zygote.ready_s >= _EARLY_S:
            self._setbacks = 0
        else:
            self._set_back(zygote.generation, now)
        if zygote.has_failed:
            return
        logger.error("Preload: process %d died: %s; it is replaced, the workers go on", zygote.pid, how)
        if zygote.ready_s is None and not was_killed:
            self._note_failed(zygote, FAILED, f"the process that imports the application {how}", now)

    def forget(self) -> None:
        """In a new process: have nothing to do with any of them."""
        for zygote in self._zygotes.values():
            zygote.channel.close()

    def close(self) -> None:
        """End all that are left: they have nothing to finish."""
        for zygote in self._zygotes.values():
            self._deafen(zygote)
            zygote.signal(signal.SIGKILL)
        end_s = time.monotonic() + _LEAVE_S
        for pid in self._zygotes:
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(pid, os.WNOHANG) == (0, 0) and time.monotonic() < end_s:
                    time.sleep(0.002)
        self._zygotes.clear()
