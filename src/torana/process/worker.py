"""One worker's life: log, application, event loop, server, signals, and the end. The only file of ``process`` that
knows ``serve`` (law A).

A worker returns when it was asked to stop, and raises what kept it from serving. Never here: printing, exit codes.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import time
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from torana.net.listener import Listener
from torana.process.log import set_up_log
from torana.process.offspring import let_go_in_children
from torana.process.options import RunOptions
from torana.process.pid_file import pid_file
from torana.process.signals import Handlers, Hearing, hear_no_more, only_note, stop_while_loading
from torana.serve.affinity.seat import Seat
from torana.serve.application import (
    Application,
    call_function,
    failed_application,
    foreseen,
    given_application,
    imported,
    load_application,
    made,
    try_out,
    warm_up,
    when_judged,
)
from torana.serve.options import Bounds
from torana.serve.server import Server

__all__ = [
    "Application",
    "Seat",
    "Serving",
    "call_function",
    "failed_application",
    "foreseen",
    "given_application",
    "imported",
    "load_application",
    "loop_factory",
    "made",
    "run_single",
    "settle_memory",
    "try_out",
    "warm_up",
    "when_judged",
]

logger = logging.getLogger("torana")

#: Allocations more than deallocations of containers before the youngest generation is looked at; CPython's own
#: defaults (3.11 and 3.12: 700, later: 2000), and ours.
_DEFAULT_THRESHOLDS = (700, 2000)
_THRESHOLD = 20_000
#: Half of what the C library may keep of freed memory (see ``settle_memory``): the bodies of 64 clients, 64 KiB each.
_SHOWN_BYTES = 4 * 1024 * 1024
#: What all workers together hold for clients is this part of the memory there is, and of each at least so many bytes.
_PART_FOR_CLIENTS = 4
_LEAST_MEMORY = 64 * 1024 * 1024


class Serving:
    """A server within an event loop that is already running: start it, let it run, stop it.

    Also what signals are told to; a stop that comes while it starts cancels the start. ``listeners`` are open ones to
    use instead of opening those of the options. ``on_worn`` is told why another should take this worker's place;
    without it the worker stops by itself. ``ledger_row`` is memory to write its progress into. ``on_told_to_stop`` is
    told why the application wants the whole server to stop. ``seat`` is the worker's among its siblings, where sessions
    stay with theirs.
    """

    def __init__(
        self,
        options: RunOptions,
        application: Application,
        *,
        listeners: list[Listener] | None = None,
        on_worn: Callable[[str], None] | None = None,
        ledger_row: memoryview | None = None,
        on_told_to_stop: Callable[[str], None] | None = None,
        seat: Seat | None = None,
    ) -> None:
        self._options = options
        self._application = application
        self._listeners = listeners
        self._on_worn = on_worn
        self._ledger_row = ledger_row
        self._on_told_to_stop = on_told_to_stop
        #: Told of the mail between workers by whoever hears the supervisor.
        self.seat = seat
        self._server: Server | None = None
        self._starting: asyncio.Task[None] | None = None
        self._is_stopping = False
        self._is_urgent = False

    async def start(self) -> bool:
        """Bind, start the application up and accept. False if it was asked to stop before that was done.

        Raises ``BindError``, ``LoadError`` or ``ConfigError``.
        """
        options = self._options
        self._server = server = Server(
            self._application,
            options.net,
            replace(options.serve, bounds=_bounds(options)),
            options.gateway,
            listeners=self._listeners,
            environ_fds=dict(options.process.systemd),
            on_worn=self._on_worn,
            boot_s=options.process.boot_s,
            hang_s=options.process.hang_s,
            ledger_row=self._ledger_row,
            on_told_to_stop=self._on_told_to_stop,
            seat=self.seat,
        )
        let_go_in_children(self)
        self._starting = asyncio.ensure_future(server.start())
        try:
            await self._starting
        except asyncio.CancelledError:
            if not self._is_stopping:
                raise
            return False
        finally:
            self._starting = None
        if self._is_stopping:
            # It came when the start was done and we had not heard of that yet: too late to cancel anything.
            if self._is_urgent:
                self.request_abort()
            else:
                self.request_stop()
        return True

    @property
    def addresses(self) -> list[str]:
        """Where it listens, as URLs."""
        return [] if self._server is None else list(self._server.addresses)

    async def finished(self) -> None:
        """Wait until the server has stopped; raises what broke it."""
        assert self._server is not None
        await self._server.finished()

    def request_stop(self) -> None:
        """Stop gracefully: no new connections, what runs may finish."""
        self._is_stopping = True
        if self._starting is not None:
            self._starting.cancel()
        elif self._server is not None:
            self._server.request_stop()

    def request_abort(self) -> None:
        """Stop at once."""
        self._is_stopping = self._is_urgent = True
        if self._starting is not None:
            self._starting.cancel()
        elif self._server is not None:
            self._server.request_abort()

    def reopen_logs(self) -> None:
        """Open the access log's file anew, for log rotation."""
        if self._server is not None:
            self._server.reopen_logs()

    def forsake(self) -> None:
        """In a forked child: close the copies of all sockets, which are the parent's."""
        if self._server is not None:
            self._server.forsake()
        if self.seat is not None:
            self.seat.forsake()

    # What only a worker with a supervisor is told, on the loop's thread

    @property
    def is_accepting(self) -> bool:
        """Whether connections are still taken from listeners."""
        return self._server is not None and self._server.is_accepting

    def retire(self, retire_s: float, with_all: bool) -> None:
        """Leave the listeners to others, finish what there is within ``retire_s``, and end."""
        if self._starting is not None:
            self.request_stop()
        elif self._server is not None:
            self._server.request_retire(retire_s, with_all)

    def adopt(self, key: str, listeners: list[Listener]) -> None:
        """Accept from these too, until ``release(key)``; they are the server's to close."""
        if self._server is None:
            for listener in listeners:
                listener.let_go()
        else:
            self._server.adopt(key, listeners)

    def release(self, key: str) -> None:
        """Leave what was adopted under this key to others."""
        if self._server is not None:
            self._server.release(key)

    def unready(self) -> None:
        """Tell load balancers that no more requests are wanted."""
        if self._server is not None:
            self._server.request_unready()

    def status(self) -> dict[str, int]:
        """Numbers of this moment: connections, requests running and served, connections in the queue."""
        return {} if self._server is None else self._server.status()


def _bounds(options: RunOptions) -> Bounds:
    """The bounds of one worker: of what all of them share, its part."""
    bounds = options.serve.bounds
    if bounds.memory_bytes:
        return bounds
    from torana.process.cpus import memory_there_is, worker_count

    there_is = memory_there_is()
    if not there_is:
        return bounds
    workers = (options.process.workers or worker_count().workers) if options.process.is_supervised else 1
    return replace(bounds, memory_bytes=max(_LEAST_MEMORY, there_is // _PART_FOR_CLIENTS // workers))


def run_single(
    options: RunOptions,
    *,
    given: Any = None,
    application: Application | None = None,
    is_announced: bool = True,
    when_ready: Callable[[Serving], None] | None = None,
) -> None:
    """Serve in this process until a signal stops it; returns when stopped as asked, raises ``ToranaError`` if it
    cannot serve.

    ``given`` is an application object, ``application`` one that is loaded already; without either it is loaded here.
    """
    began = time.monotonic()
    set_up_log(options.log)
    if options.process.umask is not None:
        os.umask(options.process.umask)
    stop_while_loading()
    try:
        with pid_file(options.process.pid_file):
            if given is not None:
                application = given_application(given, options.application)
            if application is None:
                application = load_application(options.application)
            for notice in options.notices:
                logger.warning("%s", notice)
            began = began if is_announced else 0.0
            noted = only_note()
            with asyncio.Runner(loop_factory=loop_factory(options.process.loop)) as runner:
                runner.run(_serve(options, application, began, when_ready, noted))
    except KeyboardInterrupt:
        # Stopped while loading, before the loop heard signals: as asked.
        hear_no_more()
        logger.info("Stopped before the application was loaded")


async def _serve(
    options: RunOptions,
    application: Application,
    began: float,
    when_ready: Callable[[Serving], None] | None,
    noted: list[int],
) -> None:
    serving = Serving(options, application)
    with Hearing(serving, asyncio.get_running_loop(), logging.INFO if began else logging.DEBUG) as hearing:
        if noted:
            logger.info("Stopped before the application was started")
            return
        handlers = Handlers()
        if not await serving.start():
            return
        if handlers.put_back():
            hearing.hear()
        application = made(application)
        settle_memory()
        if began:
            _announce(serving, application, time.monotonic() - began)
        if when_ready is not None:
            when_ready(serving)
        await serving.finished()
    if began:
        logger.info("Stopped")


def settle_memory() -> None:
    """What start-up made is left alone by the garbage collector, and what requests free is kept for the next ones.

    Each request makes some dozens of containers and drops them all by reference count; by default the collector would
    walk the youngest generation every few dozen requests to find nothing. A threshold that the application has set
    is left as it is.
    """
    # glibc gives the end of its heap back whenever 128 KiB of it are free, and with the next body it comes again, page
    # fault by page fault. It tolerates twice the largest piece that it once had mapped and freed (mallopt(3),
    # M_MMAP_THRESHOLD), so that is shown to it; untouched, the piece costs no memory.
    bytearray(_SHOWN_BYTES)
    gc.freeze()
    if gc.isenabled() and gc.get_threshold()[0] in _DEFAULT_THRESHOLDS:
        gc.set_threshold(_THRESHOLD, *gc.get_threshold()[1:])


def _announce(serving: Serving, application: Application, took_s: float) -> None:
    name = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    for address in serving.addresses:
        logger.info("Listening on %s", address)
    logger.info("Interface %s: %s (%s)", application.interface, application.why, application.found)
    logger.info(
        "Serving %s (%s, %s, pid %d), ready after %.0f ms",
        application.name, application.interface, name, os.getpid(), took_s * 1000,
    )  # fmt: skip


def loop_factory(choice: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop where it is installed or demanded, asyncio otherwise."""
    if choice != "asyncio":
        try:
            import uvloop
        except ImportError:
            if choice == "uvloop":
                raise
        else:
            factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
            return factory
    return asyncio.new_event_loop
