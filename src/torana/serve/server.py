"""One worker's server: opens the doors, serves, and closes them without losing anybody.

Joins listeners, TLS, the poller, the site and the gateway. Never here: signals, processes, settings, printing.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from torana.gateway.build import build
from torana.gateway.error_page import error_fields
from torana.net.clock import Clock
from torana.net.listener import Listener, open_listeners
from torana.net.poller_fallback import poller_class
from torana.serve import timeouts
from torana.serve.acceptor import Acceptor
from torana.serve.access_log import open_access_log
from torana.serve.admission import Crowd, connection_cap
from torana.serve.drain import drain
from torana.serve.site import Site

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torana.exchange.roles import Gateway
    from torana.gateway.options import GatewayOptions
    from torana.net.options import NetOptions
    from torana.net.tls import TlsContexts
    from torana.serve.application import Application
    from torana.serve.options import ServeOptions

_log = logging.getLogger("torana")

#: What an urgent stop leaves the application for its shutdown.
_URGENT_S = 0.5


class Server:
    """Serves one application on the running loop.

    ``listeners``: already open ones to use instead of opening those of ``net``. ``environ_fds``: what systemd said.
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
    ) -> None:
        page = error_fields if serve.error_pages else None
        self._gateway: Gateway = build(application.object, application.interface, gateway, page)
        self._net = net
        self._options = serve
        self._environ_fds = environ_fds
        self._listeners = listeners
        self._acceptors: list[Acceptor] = []
        self._contexts: TlsContexts | None = None
        self._abort = asyncio.Event()
        self._stop = asyncio.Event()
        self._over = asyncio.Event()
        self._stopping: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tls_looked = 0.0
        self.cap = connection_cap(serve.bounds.connections)
        self.crowd = Crowd(self.cap)
        self.site: Site | None = None
        #: Whether every exchange had ended by itself when the server stopped.
        self.is_clean = True

    @property
    def addresses(self) -> list[str]:
        """Where it listens, as URLs."""
        return [listener.describe() for listener in self._listeners or []]

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
        log = open_access_log(self._options.access_log)
        site = self.site = Site(self._gateway, self._options, self.cap, log)
        site.on_worn_out = self.request_stop
        self._poller = poller_class()(Clock(), timeouts.tick_s(self._options.timeouts))
        self._poller.attach(loop)
        self._poller.on_tick.append(self._tick)
        for listener in self._listeners:
            acceptor = Acceptor(listener, self._poller, site, self.crowd, self._net.transport, self._contexts)
            self._acceptors.append(acceptor)
            acceptor.open()
        self._stopping = loop.create_task(self._stop_in_order(), name="torana-stop")

    def request_stop(self) -> None:
        """Begin a graceful stop; safe from signal handlers and other threads."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)

    def request_abort(self) -> None:
        """Stop at once; safe from signal handlers and other threads."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._abort.set)
            self._loop.call_soon_threadsafe(self._stop.set)

    def reopen_logs(self) -> None:
        """Write the access log to a newly opened file from now on."""
        if self.site is not None and self.site.access_log is not None:
            self.site.access_log.reopen()

    async def finished(self) -> None:
        """Until the server has stopped."""
        await self._over.wait()
        if self._stopping is not None:
            await self._stopping

    async def _stop_in_order(self) -> None:
        await self._stop.wait()
        site = self.site
        assert site is not None
        try:
            site.is_draining = True
            for acceptor in self._acceptors:
                acceptor.close()
            self.is_clean = await drain(self.crowd, self._gateway, self._options.timeouts, self._abort)
            await self._shut_down()
        finally:
            self._poller.detach()
            if site.access_log is not None:
                site.access_log.close()
            self._over.set()

    async def _shut_down(self) -> None:
        """The application's own shutdown; when the stop is urgent it gets but a moment."""
        closing = asyncio.ensure_future(self._gateway.shutdown())
        urgent = asyncio.ensure_future(self._abort.wait())
        await asyncio.wait((closing, urgent), return_when=asyncio.FIRST_COMPLETED)
        if not closing.done():
            await asyncio.wait((closing,), timeout=_URGENT_S)
        for task in (closing, urgent):
            task.cancel()
        await asyncio.gather(closing, urgent, return_exceptions=True)

    def _tick(self, now: float) -> None:
        self._gateway.tick(now)
        tls = self._net.listen.tls
        if self._contexts is not None and tls is not None and tls.reload_interval_s:
            if now - self._tls_looked >= tls.reload_interval_s:
                self._tls_looked = now
                said = self._contexts.reload_if_changed()
                if said:
                    _log.warning("%s", said)
