"""USR2: this program starts the one that replaces it, hands over its sockets, and leaves when that one serves.

    IDLE ──USR2──> BOOTING ──it is ready──> CLEARING ──our services are gone: it leads──> OVER
       ^              └─ends, or takes too long──> ABANDONING ──gone─┐
       └─────────────────────────────────────────────────────────────┘

The other side is ``heir``. As process 1 we cannot leave: we stay, pass signals on to the new program and end with its
exit code. Never here: which workers do what (``plan``).
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import selectors
import shlex
import signal
import time
from enum import Enum
from typing import TYPE_CHECKING, NoReturn

from torana.process.aside import NOT_RUN, restore_signals
from torana.process.channel import Channel, ChannelClosed, ChannelFull, Message
from torana.process.death import describe
from torana.process.inbox import Heard
from torana.process.options import HANDOFF_VARIABLE
from torana.process.spawn import fork
from torana.process.states import Mode

if TYPE_CHECKING:
    from torana.process.supervisor import Supervisor

logger = logging.getLogger("torana")

#: What a new program gets beyond the time that its workers have to become ready.
_MARGIN_S = 10.0
#: From its TERM to its KILL, beyond a graceful stop.
_END_S = 5.0
#: Sockets in one message.
_AT_ONCE = 64

#: What ends a server; as process 1 it ends both programs.
_ENDING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})


class Phase(Enum):
    """How far a replacement is."""

    IDLE = "idle"
    #: The new program was started and is not ready.
    BOOTING = "booting"
    #: It failed, or nobody wants it any more; it was told to end.
    ABANDONING = "abandoning"
    #: It is ready and serves; our services end before it starts its own.
    CLEARING = "clearing"
    #: It is the server.
    OVER = "over"


class Handoff:
    """The giving side: one a supervisor. Times are monotonic seconds."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        # Kept from the start: a reload reads the configuration in an environment that is no longer the one we got.
        self._program = supervisor.options.process.program
        self._is_first = supervisor.pid == 1
        self.phase = Phase.IDLE
        #: The new program, until it was waited for.
        self.pid = 0
        #: As process 1: the program that is the server now and whose end is ours.
        self._leader = 0
        self._channel: Channel | None = None
        self._until_s = math.inf
        self._failure = ""
        self._is_parted = False
        self._is_gone = False

    @property
    def is_under_way(self) -> bool:
        """Whether a new program was started and neither serves nor has ended."""
        return self.phase in (Phase.BOOTING, Phase.ABANDONING)

    @property
    def is_over(self) -> bool:
        """Whether the supervisor need not stay for the new program."""
        return self.phase not in (Phase.ABANDONING, Phase.CLEARING) and not self._leader

    # What is asked for

    def ask(self, now: float, why: str) -> None:
        """Start the program that replaces this one, if that can be."""
        refusal = self._refusal()
        if refusal:
            logger.warning("SIGUSR2 is ignored: %s", refusal)
            return
        try:
            self._start()
        except (OSError, ChannelFull) as error:
            logger.error("The new program cannot be started: %s", error or "there are too many sockets")
            self._let_go()
            if self.pid:
                self._abandon(now)
            return
        words = shlex.join(self._program.words)
        logger.info("The program is to be replaced: %s; process %d executes %s", why, self.pid, words)
        boot_s = self._supervisor.options.process.boot_s
        self._until_s = now + boot_s + _MARGIN_S if boot_s else math.inf
        self._supervisor.companions.replacing(f"Process {self.pid} is about to take over")

    def _refusal(self) -> str:
        if self.is_under_way:
            return f"process {self.pid} is already about to take over"
        if self._supervisor.heir is not None and not self._supervisor.heir.is_leading:
            return "this program has not taken over itself yet"
        if self._supervisor.fleet.mode not in (Mode.RUNNING, Mode.PAUSED):
            return f"the server is {self._supervisor.fleet.mode.value}"
        return "" if self._program.words else "it is not known how this program was started"

    def cancel(self, now: float, number: int) -> None:
        """The server stops: so does the new program, if it is not the server yet and was not left alone before."""
        if self.phase is Phase.BOOTING and not self._is_parted:
            logger.info("The new program (pid %d) is told to end", self.pid)
            self._abandon(now, number)
        elif self.phase is Phase.ABANDONING and number == signal.SIGQUIT:
            self._abandon(now, number)

    def part(self) -> None:
        """We are about to stop and the new program goes on alone, with what we both have; not if we are process 1."""
        if self.phase is Phase.BOOTING and not self._is_first:
            logger.info("The new program (pid %d) goes on without this one; SIGTERM to it ends it", self.pid)
            self._is_parted = True
            self._supervisor.slots.leave_files()

    def pass_on(self, heard: Heard) -> bool:
        """As process 1, which all take for the server, give a signal to the program that is; whether that was all."""
        if not self._leader:
            return False
        if not heard.is_from_terminal:  # a terminal tells all its processes
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._leader, heard.number)
        return heard.number not in _ENDING

    # What happens

    def look(self, now: float) -> float:
        """Do what is due; when to look again at the latest."""
        if self.phase is Phase.CLEARING and self._supervisor.companions.is_over:
            self._say_lead()
            return now  # there may be nothing left to do
        if now >= self._until_s:
            self._until_s = math.inf
            if self.phase is Phase.BOOTING:
                logger.error("The new program (pid %d) is not ready in time: it is told to end", self.pid)
                self._abandon(now)
            elif self.phase is Phase.ABANDONING:
                logger.error("The new program (pid %d) does not end: killed", self.pid)
                self._signal(signal.SIGKILL)
        return self._until_s

    def note_gone(self, pid: int, status: int, now: float) -> bool:
        """A child was waited for; whether it was a program of ours."""
        is_ours = pid == self.pid
        self._is_gone = is_ours
        self._hear(now)  # its last words, or who comes after it
        if is_ours:
            self._end_with(status)
        if pid == self._leader:
            self._leader = 0
            self._supervisor.fleet.exit_code = _exit_code(status)
            self._supervisor.fleet.ask_stop()
            return True
        return is_ours

    def _end_with(self, status: int) -> None:
        how = describe(self.pid, status, None, None, None)
        name = f"The new program (pid {self.pid})"
        if self.phase is Phase.BOOTING:
            why = self._failure.partition("\n")[0]
            logger.error("%s has ended: %s%s; this one goes on serving", name, how, f": {why}" if why else "")
            self._supervisor.companions.replacing("The new program failed; this one goes on")
        elif self.phase is Phase.ABANDONING:
            logger.info("%s has ended: %s", name, how)
        else:
            logger.log(logging.INFO if status == 0 else logging.ERROR, "%s has ended: %s", name, how)
        self.pid = 0
        self._failure = ""
        self._is_gone = False
        if self.phase in (Phase.BOOTING, Phase.ABANDONING):
            self._let_go()
            self._until_s = math.inf
            self.phase = Phase.IDLE
        elif self.phase is Phase.CLEARING:
            self.phase = Phase.OVER

    def _hear(self, now: float) -> None:
        channel = self._channel
        if channel is None:
            return
        channel.flush()
        try:
            heard = channel.receive()
        except ChannelClosed:
            self._let_go()
            return
        for message, fds in heard:
            for fd in fds:
                os.close(fd)
            self._note(message, now)
        self._watch()

    def _note(self, message: Message, now: float) -> None:
        match message:
            case {"say": "begun", "boot_s": int() | float() as boot_s} if self.phase is Phase.BOOTING:
                self._until_s = now + boot_s + _MARGIN_S if boot_s else math.inf
            case {"say": "failed", "text": str(text)}:
                self._failure = text
            case {"say": "ready", "files": list(files), "pid_file": pid_file} if self.phase is Phase.BOOTING:
                if not self._is_gone:  # else it was ready for too short
                    self._hand_over([str(path) for path in files], pid_file, now)
            case {"say": "heir", "pid": int(pid)} if self._leader:
                self._leader = pid
            case other:
                logger.debug("The new program says %r", other)

    # Doing it

    def _start(self) -> None:
        ours, theirs = Channel.pair()
        try:
            with self._supervisor.inbox.held():
                self.pid = fork()
                if self.pid == 0:
                    self._become(theirs.fileno())
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self.phase = Phase.BOOTING
        self._channel = ours
        self._supervisor.selector.register(ours, selectors.EVENT_READ, self._listen)
        self._give(ours)
        self._watch()

    def _become(self, fd: int) -> NoReturn:
        """In the child: run the hook, then become the new program, or end."""
        supervisor, program = self._supervisor, self._program
        try:
            supervisor.companions.executing()
            supervisor.inbox.forget()
            if program.directory:
                os.chdir(program.directory)
            environ = dict(program.environ) | {HANDOFF_VARIABLE: str(fd)}
            if environ.get("WATCHDOG_PID") == str(supervisor.pid):
                environ["WATCHDOG_PID"] = str(os.getpid())
            os.set_inheritable(fd, True)
            restore_signals()
            os.execvpe(program.words[0], program.words, environ)
        except BaseException as error:
            logger.error("The new program cannot be executed: %s", error)
        finally:
            os._exit(NOT_RUN)

    def _give(self, channel: Channel) -> None:
        supervisor = self._supervisor
        for slot, row in supervisor.slots.rows():
            for start in range(0, len(row), _AT_ONCE):
                part = row[start : start + _AT_ONCE]
                sockets = [{"bind": one.bind, "file": one.file and one.file.marks} for one in part]
                channel.send({"do": "take", "slot": slot, "sockets": sockets}, [one.fileno() for one in part])
        control = supervisor.companions.control
        first = supervisor.heir.first if supervisor.heir is not None else None
        begin = {"do": "begin", "pid": supervisor.pid, "control": control.path if control is not None else None}
        channel.send(begin | {"is_first": self._is_first}, [first.fileno()] if first is not None else [])

    def _hand_over(self, files: list[str], pid_file: str | None, now: float) -> None:
        supervisor = self._supervisor
        logger.info("The new program (pid %d) is ready and takes over; ours finishes what it has", self.pid)
        self.phase = Phase.CLEARING
        self._until_s = math.inf
        if self._is_first:
            self._leader = self.pid
        if supervisor.heir is not None:
            supervisor.heir.tell_first(self.pid)
        supervisor.fleet.ask_hand_over()
        supervisor.slots.leave_files(files)
        supervisor.slots.close()
        supervisor.pid_file.step_back(pid_file)
        supervisor.companions.hand_over(now, self.pid)

    def _say_lead(self) -> None:
        self.phase = Phase.OVER
        if self._channel is not None:
            with contextlib.suppress(ChannelFull):
                self._channel.send({"do": "lead"})
            if not self._leader:
                self._let_go()

    def _abandon(self, now: float, number: int = signal.SIGTERM) -> None:
        self.phase = Phase.ABANDONING
        timeouts = self._supervisor.options.serve.timeouts
        graceful_s = timeouts.graceful_s + timeouts.cancel_s if number == signal.SIGTERM else 0.0
        self._until_s = now + graceful_s + _END_S
        self._signal(number)

    def _signal(self, number: int) -> None:
        """Until it was waited for, its process id is nobody else's."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def _listen(self) -> None:
        self._hear(time.monotonic())

    def _watch(self) -> None:
        if self._channel is not None:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._channel.has_waiting else 0)
            self._supervisor.selector.modify(self._channel, events, self._listen)

    def _let_go(self) -> None:
        if self._channel is not None:
            with contextlib.suppress(KeyError):
                self._supervisor.selector.unregister(self._channel)
            self._channel.close()
            self._channel = None

    def forget(self) -> None:
        """In a new worker: close our copy of the channel. Also the last thing of a supervisor."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
