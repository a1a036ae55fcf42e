"""One worker's server: opens the doors, serves, and closes them without losing anybody.

Joins listeners, TLS, the poller, the site and the gateway. Never here: signals, processes, settings, printing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from torana.gateway.build import build
from torana.gateway.error_page import error_fields
from torana.gateway.life import Place
from torana.net.clock import Clock
from torana.net.listener import Listener, open_listeners
from torana.net.poller_fallback import poller_class
from torana.serve import timeouts
from torana.serve.access_log import open_access_log
from torana.serve.admission import Crowd, connection_cap
from torana.serve.doors import Doors
from torana.serve.drain import delay, drain, retire
from torana.serve.health import HealthGateway
from torana.serve.ledger import Ledger
from torana.serve.pages import Pages
from torana.serve.site import Site
from torana.serve.warm_up import warm_up

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torana.exchange.roles import Gateway
    from torana.gateway.options import GatewayOptions
    from torana.net.options import NetOptions
    from torana.net.tls import TlsContexts
    from torana.serve.affinity.seat import Seat
    from torana.serve.affinity.sessions import Affinity
    from torana.serve.application import Application
    from torana.serve.options import ServeOptions

_log = logging.getLogger("torana")

#: What an urgent stop leaves the application for its shutdown.
_URGENT_S = 0.5
#: The key of the server's own listeners; adopted ones have another.
_OWN = ""


class Server:
    """Serves one application on the running loop.

    ``listeners``: already open ones to use instead of opening those of ``net``. ``environ_fds``: what systemd said.
    ``on_worn``: told once, on the loop, why another should take this server's place ("max_requests"); without it the
    server stops. ``boot_s``: the longest that the warm-up request may take; 0 means no bound. ``hang_s``: the longest
    that all threads may stay away while requests wait for one; 0 means no bound. ``ledger_row``: memory for a ledger
    that a supervisor reads (``base/board_row``). ``on_told_to_stop``: told why, when the application has the whole
    server stop (Jupyter's ``/api/shutdown``); without it this one stops. ``seat``: where this one is among several
    workers, for sessions that stay with theirs; without it there is nobody to pass a session to.
    """

    def __init__(
        self,
        application: Application,
        net: NetOptions,
        serve: ServeOptions,
        gateway: GatewayOptions,
        *,
        listeners: list[Listener] | None = None,
        environ_fds: Mapping[str, str] | None = None,
        on_worn: Callable[[str], None] | None = None,
        boot_s: float = 600.0,
        hang_s: float = 0.0,
        ledger_row: memoryview | None = None,
        on_told_to_stop: Callable[[str], None] | None = None,
        seat: Seat | None = None,
    ) -> None:
        page = error_fields if serve.error_pages else None
        self._on_told_to_stop = on_told_to_stop
        self._gateway: Gateway = build(
            application.object, application.interface, gateway, page, serve.timeouts.request_s, on_worn, hang_s,
            self._place(net),
        )  # fmt: skip
        self._net = net
        self._options = serve
        self._environ_fds = environ_fds
        self._listeners = listeners
        self._on_worn = on_worn
        self._boot_s = boot_s
        self._ledger_row = ledger_row
        self._seat = seat if serve.affinity else None
        self._affinity: Affinity | None = None
        self._doors: Doors | None = None
        self._health: HealthGateway | None = None
        self._contexts: TlsContexts | None = None
        # Each is set with those above it: the last one by whatever ends the serving.
        self._abort = asyncio.Event()
        self._stop = asyncio.Event()
        self._leave = asyncio.Event()
        self._retire_s = 0.0
        self._retires_with_all = False
        self._over = asyncio.Event()
        self._stopping: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tls_looked = 0.0
        self.cap = connection_cap(serve.bounds.connections)
        self.crowd = Crowd(self.cap)
        self._pages = Pages()
        self.site: Site | None = None
        #: Another has taken this server's place: it accepts nobody, finishes what it has, and ends.
        self.is_retiring = False
        #: Whether every exchange had ended by itself when the server stopped.
        self.is_clean = True

    @property
    def addresses(self) -> list[str]:
        """Where it listens, as URLs."""
        return [listener.describe() for listener in self._listeners or []]

    @property
    def is_accepting(self) -> bool:
        """Whether connections are taken from listeners."""
        return self._doors is not None and not self._doors.is_shut

    async def start(self) -> None:
        """Bind, run the application's start-up, then accept. Raises ``BindError``, ``ConfigError`` or ``LoadError``."""
        loop = self._loop = asyncio.get_running_loop()
        if self._listeners is None:
            self._listeners = open_listeners(self._net.listen, self._environ_fds)
        try:
            if self._net.listen.tls is not None:
                from torana.net.tls import TlsContexts

                self._contexts = TlsContexts(self._net.listen.tls)
            await self._gateway.startup()
        except BaseException:
            for listener in self._listeners:
                listener.close()
            raise
        for listener in self._listeners:
            if listener.warning:
                _log.warning("%s", listener.warning)
        site = self.site = self._make_site()
        self._poller = poller_class()(Clock(), timeouts.tick_s(self._options.timeouts))
        self._poller.attach(loop)
        self._poller.on_tick.append(self._tick)
        self._poller.after_batch = self._gateway.share_turns(self._poller.turn)
        if self._options.warm_up_path:
            await self._warm_up(site)
        site.on_worn_out = self._worn_out
        if self._seat is not None:
            self._keep_sessions(site, self._seat)
        self._doors = Doors(self._poller, site, self.crowd, self._net.transport, self._contexts)
        self._doors.open(_OWN, self._listeners)
        try:
            await self._gateway.ready()
        except BaseException:
            # Called off when clients have seen it already: it ends as any other, but at once.
            self._set(self._abort, self._stop, self._leave)
            await self._end_in_order(site, self._doors)
            raise
        self._stopping = loop.create_task(self._end_in_order(site, self._doors), name="torana-stop")

    def adopt(self, key: str, listeners: list[Listener]) -> None:
        """Accept from these too until ``release(key)``; the server closes its copies. On the loop's thread only.

        A server that is about to end takes nobody in: it lets go of them at once.
        """
        if self._doors is not None and not self._leave.is_set():
            self._doors.open(key, listeners)
        else:
            for listener in listeners:
                listener.let_go()

    def release(self, key: str) -> None:
        """Stop accepting from what came with ``key``, and leave its queues as they are. On the loop's thread only."""
        if self._doors is not None and key != _OWN:
            self._doors.release(key)

    def request_unready(self) -> None:
        """Have the health path answer 503 from now on; safe from signal handlers and other threads."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._be_unready)

    def request_retire(self, retire_s: float = 300.0, with_all: bool = False) -> None:
        """Leave the listeners to others and end when everybody has left, or after ``retire_s`` by a graceful stop.

        ``with_all``: all workers do, so that no successor answers what comes for the sessions of this one.
        Safe from signal handlers and other threads; nothing once the server stops.
        """
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._begin_to_retire, retire_s, with_all)

    def request_stop(self) -> None:
        """Begin a graceful stop; safe from signal handlers and other threads."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._set, self._stop, self._leave)

    def request_abort(self) -> None:
        """Stop at once; safe from signal handlers and other threads."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._set, self._abort, self._stop, self._leave)

    def reopen_logs(self) -> None:
        """Write the access log to a newly opened file from now on."""
        if self.site is not None and self.site.access_log is not None:
            self.site.access_log.reopen()

    def forsake(self) -> None:
        """In a forked child: close the copies of all sockets, which are the parent's."""
        if self._doors is not None:
            self._doors.forsake()
        if self._affinity is not None:
            self._affinity.forsake()
        for connection in list(self.crowd.connections):
            connection.forsake()

    def status(self) -> dict[str, int]:
        """Numbers of this moment: connections, requests running, requests served, connections in the queues."""
        site = self.site
        return {
            "connections": len(self.crowd),
            "running": 0 if site is None else site.running,
            "served": 0 if site is None else site.served,
            "queued": 0 if self._doors is None else self._doors.waiting(),
        }

    async def finished(self) -> None:
        """Until the server has stopped."""
        await self._over.wait()
        if self._stopping is not None:
            await self._stopping

    # The start

    def _place(self, net: NetOptions) -> Place:
        def addresses() -> list[tuple[str, int]]:
            names = [each.sock.getsockname() for each in self._listeners or [] if not each.is_unix]
            return [(str(name[0]), int(name[1])) for name in names]

        return Place(addresses, is_tls=net.listen.tls is not None, stop=self._told_to_stop)

    def _make_site(self) -> Site:
        options = self._options
        gateway = self._gateway
        if options.health_path:
            gateway = self._health = HealthGateway(options.health_path, gateway)
        site = Site(gateway, options, self.cap, open_access_log(options.access_log))
        site.health = self._health
        if options.versions != "1":
            from torana.serve.http2.connection import Http2Connection

            site.http2 = Http2Connection
        if self._ledger_row is not None:
            site.ledger = Ledger(self._ledger_row)
        return site

    async def _warm_up(self, site: Site) -> None:
        """Have one request answered before others come; when that fails, nothing is left of the start."""
        path, is_tls, options = self._options.warm_up_path, self._contexts is not None, self._net.transport
        try:
            await warm_up(path, is_tls, self._boot_s, site, self._poller, self.crowd, options)
            site.served = 0
        except BaseException:
            urgent = asyncio.Event()
            urgent.set()
            await drain(self.crowd, self._gateway, self._options.timeouts, urgent)
            await self._in_time(self._gateway.shutdown())
            self._let_go(site)
            for listener in self._listeners or []:
                listener.close()
            raise

    def _keep_sessions(self, site: Site, seat: Seat) -> None:
        """From here on a request is answered by the worker that has its session."""
        from torana.serve.affinity.sessions import Affinity

        self._affinity = site.affinity = Affinity(
            self._options.affinity, seat.slot, seat.memory, site, self._poller, self.crowd, self._net.transport
        )
        self._poller.on_tick.append(self._affinity.tick)
        seat.open(self._affinity)

    # The end

    def _worn_out(self) -> None:
        if self._on_worn is None:
            self.request_stop()
        elif self._loop is not None:
            self._loop.call_soon(self._on_worn, "max_requests")

    def _told_to_stop(self, why: str) -> None:
        if self._on_told_to_stop is None:
            _log.info("Stopping: %s", why)
            self.request_stop()
        else:
            self._on_told_to_stop(why)

    def _be_unready(self) -> None:
        if self._health is not None:
            self._health.is_ready = False

    def _begin_to_retire(self, retire_s: float, with_all: bool) -> None:
        if not self._leave.is_set():
            self.is_retiring = True
            self._retire_s = retire_s
            self._retires_with_all = with_all
            self._leave.set()

    def _set(self, *events: asyncio.Event) -> None:
        for event in events:
            event.set()

    async def _end_in_order(self, site: Site, doors: Doors) -> None:
        await self._leave.wait()
        times = self._options.timeouts
        try:
            site.is_draining = True
            if self.is_retiring:
                # Not unhealthy: whoever asks by a kept connection asks for all servers of the address.
                doors.let_go()
                if self._affinity is not None:
                    if self._retires_with_all:
                        await self._affinity.stop()
                    else:
                        self._affinity.let_go()
                await self._in_time(self._gateway.begin_drain())
                await retire(self.crowd, self._gateway, self._retire_s, times.idle_linger_s, self._stop)
            else:
                self._be_unready()
                await delay(times.drain_delay_s, self._abort)
                doors.close()
                if self._affinity is not None:
                    await self._affinity.stop()
                await self._in_time(self._gateway.begin_drain())
            self.is_clean = await drain(self.crowd, self._gateway, times, self._abort)
            await self._in_time(self._gateway.drained())
            await self._in_time(self._gateway.shutdown())
        finally:
            self._let_go(site)
            self._over.set()

    def _let_go(self, site: Site) -> None:
        if self._affinity is not None:
            self._affinity.close()
        self._poller.detach()
        if site.access_log is not None:
            site.access_log.close()

    async def _in_time(self, said: Coroutine[Any, Any, None]) -> None:
        """Something that the application does at its end; when the stop is urgent it gets but a moment."""
        doing = asyncio.ensure_future(said)
        urgent = asyncio.ensure_future(self._abort.wait())
        await asyncio.wait((doing, urgent), return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            await asyncio.wait((doing,), timeout=_URGENT_S)
        for task in (doing, urgent):
            task.cancel()
        await asyncio.gather(doing, urgent, return_exceptions=True)

    def _tick(self, now: float) -> None:
        self._gateway.tick(now)
        site = self.site
        ledger = None if site is None else site.ledger
        if site is not None:
            site.memory.look(now)
            self._pages.look(len(self.crowd), site.memory.held)
        if site is not None and ledger is not None:
            ledger.beat()
            ledger.note(self._gateway.waiting(), len(self.crowd), site.memory.held)
        tls = self._net.listen.tls
        if self._contexts is not None and tls is not None and tls.reload_interval_s:
            if now - self._tls_looked >= tls.reload_interval_s:
                self._tls_looked = now
                said = self._contexts.reload_if_changed()
                if said:
                    _log.warning("%s", said)
