"""One listener on the poller: takes what waits in its queue and makes connections of it.

Never here: how a listener is opened (``net/listener``), what a connection does.
"""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING

from torana.base.endpoints import Endpoints
from torana.net.listener import Listener, Queue
from torana.net.poller import READ, Poller, Watched
from torana.net.transport import Transport
from torana.serve.connection import Connection
from torana.serve.proxied import ProxiedStart

if TYPE_CHECKING:
    from torana.net.options import TransportOptions
    from torana.net.tls import TlsContexts
    from torana.serve.admission import Crowd
    from torana.serve.site import Site

_log = logging.getLogger("torana")

#: Connections accepted before others get their turn.
_BATCH = 64
#: How long nobody is accepted after descriptors or memory ran out; seconds.
_STARVED_S = 0.1
#: So many make way when the system gives no more descriptors: for those that wait, and for files.
_MAKE_WAY = 16


class Acceptor(Watched):
    """Accepts for one site."""

    def __init__(
        self, listener: Listener, poller: Poller, site: Site, crowd: Crowd, options: TransportOptions,
        contexts: TlsContexts | None,
    ) -> None:  # fmt: skip
        Watched.__init__(self, listener.fileno())
        self.is_last = True
        self.listener = listener
        self.poller = poller
        self.site = site
        self.crowd = crowd
        self._options = options
        self._contexts = contexts
        self._is_open = False
        self._starved_logged = -60.0

    def open(self) -> None:
        """Begin to accept."""
        self._is_open = True
        self.poller.watch(self, READ)

    def close(self) -> None:
        """Stop accepting; what the kernel already accepted for us is taken first, so nobody is lost."""
        if self._is_open:
            self._is_open = False
            while self._take() is Queue.MORE:
                pass
            self.poller.forget(self)
        self.listener.close()

    def let_go(self) -> None:
        """Stop accepting and leave the queue as it is: somebody else holds the socket too, and accepts from it."""
        if self._is_open:
            self._is_open = False
            self.poller.forget(self)
        self.listener.let_go()

    def ready(self, events: int) -> None:
        crowd = self.crowd
        if crowd.is_shut():
            # Who was too young to go when the last ones came may not be so any more.
            crowd.make_room(1)
            if crowd.is_shut():
                self._pause()
                return
        if self._take() is Queue.STARVED:
            now = self.poller.clock.now
            if now - self._starved_logged >= 10.0:
                self._starved_logged = now
                _log.error("cannot accept: %s (setting: limit_connections)", self.listener.last_error)
            if not crowd.make_way(_MAKE_WAY):
                self._pause()

    def expired(self, now: float) -> None:
        """Look again whether there is room."""
        self._reopen()

    def _reopen(self) -> None:
        if self._is_open:
            # First the next try: for want of memory this one may fail too.
            self.deadline = self.poller.clock.now + _STARVED_S
            self.poller.change(self, READ)
        self.deadline = 0.0

    def _pause(self) -> None:
        self.deadline = self.poller.clock.now + _STARVED_S
        self.crowd.when_left(self._reopen)
        self.poller.change(self, 0)

    def _take(self) -> Queue:
        taken, queue = self.listener.accept_batch(_BATCH)
        if taken:
            self.crowd.make_room(len(taken))
        for sock, client in taken:
            try:
                self._welcome(sock, client)
            except OSError:
                # Gone before it began.
                sock.close()
        return queue

    def _welcome(self, sock: socket.socket, client: tuple[str, int] | None) -> None:
        server = self.listener.server
        site = self.site
        if client is not None:
            name = sock.getsockname()
            server = (name[0], name[1])
        is_tls = self._contexts is not None
        endpoints = Endpoints(client, server, "https" if is_tls else "http")
        if site.options.identity.proxy_protocol and site.trust.is_trusted(
            client[0] if client else None, client is None
        ):
            ProxiedStart(self, sock, endpoints)
        else:
            self.serve(sock, endpoints)

    def serve(self, sock: socket.socket, endpoints: Endpoints) -> None:
        """Make a connection of an accepted socket."""
        options = self._options
        crowd = self.crowd
        is_surplus = crowd.is_over_cap()
        transport: Transport
        if self._contexts is not None:
            from torana.net.secure import TlsTransport

            transport = TlsTransport(
                sock, self.poller, options.read_bytes, options.write_high_bytes, options.write_low_bytes,
                self._contexts, endpoints,
            )  # fmt: skip
        else:
            transport = Transport(
                sock, self.poller, options.read_bytes, options.write_high_bytes, options.write_low_bytes
            )
        connection = Connection(transport, self.site, endpoints, crowd)
        connection.is_surplus = is_surplus
        connection.is_http2_only = self.site.options.versions == "2"
        crowd.joined(connection)
        try:
            transport.open()
        except OSError:
            crowd.left(connection)
            raise
