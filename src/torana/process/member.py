"""A worker's side of supervision: it loads the application, says when it is ready, and does what its supervisor says.

When the channel closes, the supervisor is gone: the worker finishes what it has and ends. Never here: how a server
serves, retires or stops (``worker`` knows who does).
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import fcntl
import logging
import os
import signal
import time
import traceback
from collections.abc import Callable
from types import FrameType

from msgspec.structs import replace

from torana.base.errors import ToranaError
from torana.net.listener import Listener, open_listeners
from torana.process.bound import Surplus, why_one
from torana.process.channel import Channel, ChannelClosed, ChannelFull, Message
from torana.process.dump import hear_dump_signal, report_faults
from torana.process.exit_codes import FAILED, STOPPED, exit_code_of
from torana.process.log import set_up_log
from torana.process.offspring import let_go_in_children
from torana.process.options import RunOptions
from torana.process.signal_stack import widen_signal_stack
from torana.process.signals import Handlers, hear_no_more, only_note, stop_while_loading
from torana.process.spawn import Duty
from torana.process.worker import (
    Application,
    Seat,
    Serving,
    load_application,
    loop_factory,
    made,
    settle_memory,
    when_judged,
)

logger = logging.getLogger("torana")

#: Signals that a terminal sends to all its processes, or that somebody meant for the supervisor.
_NOT_OURS = ("SIGINT", "SIGHUP", "SIGWINCH", "SIGUSR2")
#: The same, but a handler would make a read from the terminal in the background go round for ever.
_JOB_CONTROL = ("SIGTTIN", "SIGTTOU")
#: The longest that a worker waits for word of the others before it starts.
_SIBLINGS_S = 5.0
#: What an orphan gets beyond the time of a graceful stop, before it ends in any case.
_ORPHAN_S = 10.0


def main(duty: Duty) -> int:
    """A worker's whole life, from its birth on; returns its exit code."""
    settle_signals()
    hear_dump_signal(duty.board_row)
    _end_with_supervisor(duty)
    try:
        return _live(duty)
    except KeyboardInterrupt:
        hear_no_more()
        logger.debug("Stopped before the application was loaded")
        _say(duty.channel, {"say": "stopped"})
        return STOPPED
    except ToranaError as error:
        return _give_up(duty.channel, exit_code_of(error), str(error))
    except Exception as error:
        logger.debug("A worker fails", exc_info=True)
        text = "".join(traceback.format_exception(error))
        return _give_up(duty.channel, FAILED, f"{type(error).__name__}: {error}\n\n{text}")
    finally:
        hear_no_more()
        duty.channel.close()


def _live(duty: Duty) -> int:
    options = duty.options = _own_options(duty.options)
    set_up_log(options.log)
    process = options.process
    if process.user is not None or process.group is not None:
        from torana.process.privileges import become

        become(process.user, process.group)
    call_hooks = _hooks_of(duty)
    call_hooks("post_fork", "")
    try:
        application = duty.application or load_application(options.application)
        noted = only_note()
        with asyncio.Runner(loop_factory=loop_factory(process.loop)) as runner:
            return runner.run(Member(duty, application, call_hooks).live(noted))
    finally:
        call_hooks("worker_exit", "")


def _hooks_of(duty: Duty) -> Callable[[str, str], None]:
    """What calls the functions that the user named for a worker's events."""
    hooks = duty.options.process.hooks
    if not hooks:
        return lambda event, reason: None
    from torana.process.hooks import HookInfo, WorkerHooks

    about = HookInfo("", duty.server_pid or os.getppid(), os.getpid(), duty.slot, duty.generation)
    return WorkerHooks(hooks, about, app_dir=duty.options.application.app_dir).run


def settle_signals() -> None:
    """What the supervisor held back is let through, to a worker's own handlers."""
    for name in _NOT_OURS:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            # A handler, unlike SIG_IGN, is not inherited by programs that the application starts.
            signal.signal(number, _pass_over)
            signal.siginterrupt(number, False)
    for name in _JOB_CONTROL:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    interrupted = signal.getsignal(signal.SIGINT)
    stop_while_loading()
    signal.signal(signal.SIGINT, interrupted)
    report_faults()
    widen_signal_stack()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _end_with_supervisor(duty: Duty) -> None:
    """Have an end even if the supervisor dies while our code hangs and the loop cannot notice."""

    def look(number: int, frame: FrameType | None) -> None:
        if duty.channel.is_alone():
            _limit_life(duty.options)

    if hasattr(signal, "SIGIO") and hasattr(fcntl, "F_SETOWN"):
        signal.signal(signal.SIGIO, look)
        signal.siginterrupt(signal.SIGIO, False)
        fd = duty.channel.fileno()
        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETOWN, os.getpid())
            fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)


def _limit_life(options: RunOptions) -> None:
    """End in any case, after more time than a graceful stop takes; the stacks show what kept us."""
    times = options.serve.timeouts
    limit_s = times.drain_delay_s + times.graceful_s + times.cancel_s + _ORPHAN_S
    with contextlib.suppress(OSError, ValueError, AttributeError, RuntimeError):
        faulthandler.dump_traceback_later(limit_s + 2 * options.gateway.lifespan_shutdown_timeout_s, exit=True)


def _pass_over(number: int, frame: FrameType | None) -> None:
    """The supervisor hears it too, and decides."""


def _own_options(options: RunOptions) -> RunOptions:
    """The options with chance added to ``max_requests``, so that workers do not wear out together."""
    bounds, jitter = options.serve.bounds, options.process.max_requests_jitter
    if not bounds.max_requests or not jitter:
        return options
    import random  # a millisecond, at every start

    bounds = replace(bounds, max_requests=bounds.max_requests + random.randint(0, jitter))
    return replace(options, serve=replace(options.serve, bounds=bounds))


def _give_up(channel: Channel, code: int, text: str) -> int:
    _say(channel, {"say": "failed", "code": code, "text": text})
    return code


def _say(channel: Channel, message: Message) -> None:
    with contextlib.suppress(ChannelFull):
        channel.send(message)


class Member:
    """A worker in its event loop."""

    def __init__(self, duty: Duty, application: Application, call_hooks: Callable[[str, str], None]) -> None:
        self._duty = duty
        self._call_hooks = call_hooks
        self._channel = duty.channel
        self._options = duty.options
        self._application = application
        self._serving = Serving(
            duty.options,
            application,
            listeners=duty.listeners,
            on_worn=self._wear_out,
            ledger_row=duty.board_row,
            on_told_to_stop=self._pass_stop_on,
            seat=None if duty.roster is None else Seat(duty.slot, duty.roster),
        )
        #: Set when all was said that comes before the start.
        self._may_begin = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._retiring: asyncio.Future[None] | None = None
        self._is_orphan = False
        self._is_writing = False

    async def live(self, noted: list[int]) -> int:
        """Serve until told to end; returns the exit code. Raises what keeps it from serving.

        ``noted``: signals that came before the loop could hear them.
        """
        loop = self._loop = asyncio.get_running_loop()
        let_go_in_children(self)
        self._hear_signals(loop)
        loop.add_reader(self._channel.fileno(), self._listen)
        try:
            self._leave_if_surplus(self._application.policy, self._application.policy_why)
            when_judged(self._application, self._leave_if_surplus)
            await self._hear_of_siblings()
            handlers = Handlers()
            if noted or not await self._serving.start():
                self._say({"say": "stopped"})
                return STOPPED
            if handlers.put_back():
                self._hear_signals(loop)
            self._call_hooks("post_worker_init", "")
            settle_memory()
            self._tell_ready(loop)
            await self._serving.finished()
            self._say({"say": "stopped"})
        except Surplus as surplus:
            self._say({"say": "surplus", "why": str(surplus)})
            self._say({"say": "stopped"})
        finally:
            loop.remove_reader(self._channel.fileno())
            # What comes now must not cut the end short.
            for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1):
                loop.remove_signal_handler(number)
                signal.signal(number, _pass_over)
        return STOPPED

    def _hear_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.add_signal_handler(signal.SIGTERM, self._asked_to_end)
        loop.add_signal_handler(signal.SIGQUIT, self._abort)
        loop.add_signal_handler(signal.SIGUSR1, self._serving.reopen_logs)

    def _leave_if_surplus(self, policy: str, why: str) -> None:
        """Of workers that may not be many, the first slot's serves; the others never begin to, lest a client finds its
        state in one of them and not in the next.
        """
        if self._duty.slot > 0 and (reason := why_one(policy, why, self._options)):
            raise Surplus(reason)

    async def _hear_of_siblings(self) -> None:
        """Before we take connections, know where those belong that are not ours."""
        if self._serving.seat is not None and not self._is_orphan:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SIBLINGS_S):
                    await self._may_begin.wait()

    def forsake(self) -> None:
        """In a forked child: the channel is its parent's."""
        self._channel.close()

    def _tell_ready(self, loop: asyncio.AbstractEventLoop) -> None:
        application = self._application = made(self._application)
        self._say(
            {
                "say": "ready",
                "found": application.found,
                "why": application.why,
                "policy": application.policy,
                "policy_why": application.policy_why,
                "application": application.name,
                "interface": application.interface,
                "loop": type(loop).__module__.partition(".")[0],
            }
        )
        logger.debug(
            "Worker %d (%s) is ready after %.0f ms",
            self._duty.slot + 1, application.name, (time.monotonic() - self._duty.began_s) * 1000,
        )  # fmt: skip

    def _say(self, message: Message) -> None:
        _say(self._channel, message)
        if self._channel.has_waiting and not self._is_writing and self._loop is not None and not self._is_orphan:
            self._is_writing = True
            self._loop.add_writer(self._channel.fileno(), self._write)

    def _write(self) -> None:
        self._channel.flush()
        if not self._channel.has_waiting and self._loop is not None:
            self._is_writing = False
            self._loop.remove_writer(self._channel.fileno())

    def _listen(self) -> None:
        try:
            heard = self._channel.receive()
        except ChannelClosed:
            self._be_orphan()
            return
        for message, fds in heard:
            self._obey(message, fds)

    def _obey(self, message: Message, fds: list[int]) -> None:
        serving = self._serving
        key = str(message.get("slot"))
        match message.get("do"):
            case "retire":
                self._retiring = asyncio.ensure_future(self._retire(bool(message.get("with_all"))))
            case "stop":
                serving.request_stop()
            case "abort":
                self._abort()
            case "adopt":
                serving.adopt(key, self._listeners_of(fds))
                fds = []
            case "release":
                serving.release(key)
                if serving.seat is not None:
                    serving.seat.release(key)
            case "mailbox" | "postboxes" if serving.seat is not None:
                self._take_mail(serving.seat, message, fds)
                fds = []
            case "begin":
                self._may_begin.set()
            case "unready":
                serving.unready()
            case "reopen":
                set_up_log(self._options.log)
                serving.reopen_logs()
            case "status":
                self._say({"say": "status", **serving.status()})
            case other:
                logger.debug("The supervisor says %r, which this worker does not know", other)
        for fd in fds:
            os.close(fd)

    def _take_mail(self, seat: Seat, message: Message, fds: list[int]) -> None:
        if message["do"] == "postboxes":
            seat.add_postboxes(list(message["slots"]), fds)
        elif fds:
            slot = int(message["slot"])
            # Our own is not let go of when an adopted one is.
            seat.add_mailbox("" if slot == self._duty.slot else str(slot), slot, fds[0])

    def _listeners_of(self, fds: list[int]) -> list[Listener]:
        listen = replace(self._options.net.listen, binds=tuple(f"fd:{fd}" for fd in fds))
        listeners = open_listeners(listen)
        for listener in listeners:
            listener.warning = None
        return listeners

    async def _retire(self, with_all: bool) -> None:
        self._serving.retire(self._options.process.retire_s, with_all)
        while self._serving.is_accepting:
            await asyncio.sleep(0)
        self._say({"say": "retiring"})

    def _abort(self) -> None:
        self._call_hooks("worker_abort", "")
        self._serving.request_abort()

    def _wear_out(self, why: str) -> None:
        if not self._is_orphan:
            self._say({"say": "worn", "why": why})
        if self._is_orphan or self._channel.is_broken:
            self._serving.request_stop()

    def _pass_stop_on(self, why: str) -> None:
        """The application wants the server to end: all of it."""
        if not self._is_orphan:
            self._say({"say": "stop", "why": why})
        if self._is_orphan or self._channel.is_broken:
            self._serving.request_stop()

    def _asked_to_end(self) -> None:
        """Somebody sent TERM to this very process: it is replaced first."""
        self._call_hooks("worker_int", "SIGTERM")
        self._wear_out("it was sent SIGTERM")

    def _be_orphan(self) -> None:
        """The supervisor is gone, and nobody will ask whether we end: make sure of it."""
        self._is_orphan = True
        if self._loop is not None:
            self._loop.remove_reader(self._channel.fileno())
            self._loop.remove_writer(self._channel.fileno())
        logger.warning("The supervisor is gone: this worker finishes what it has and ends")
        _limit_life(self._options)
        self._serving.request_stop()
