"""What all connections of a worker share: the application's gateway, the options in the form the hot path wants them.

Never here: sockets, parsing.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from torana.base.build import has_lock
from torana.exchange.roles import Gateway
from torana.serve.forwarded import Trust
from torana.serve.memory import Memory
from torana.serve.origins import Origins
from torana.serve.refusals import Refusals

if TYPE_CHECKING:
    from torana.base.endpoints import Endpoints
    from torana.serve.access_log import AccessLog
    from torana.serve.affinity.judge import Judge
    from torana.serve.ledger import Ledger
    from torana.serve.options import ServeOptions
    from torana.wire.events import RequestHead


class Site:
    """One application as it is served. Counters are of this worker."""

    def __init__(self, gateway: Gateway, options: ServeOptions, connection_cap: int, log: AccessLog | None) -> None:
        self.gateway = gateway
        self.options = options
        self.limits: Any = options.limits
        self.http2_limits: Any = options.http2
        #: Makes an HTTP/2 connection of a transport: ``http2(transport, site, endpoints, crowd)``; None while the site
        #: does not speak it.
        self.http2: Any = None
        self.timeouts: Any = options.timeouts
        self.trust = Trust(options.identity.forwarded_allow_ips, family=options.identity.forwarded_family)
        self.refusals = Refusals()
        #: Which pages may open WebSockets.
        self.origins = Origins(options.identity.websocket_origins)
        bounds = options.bounds
        # The largest body that is allowed has to fit.
        spool_bytes = max(bounds.spool_disk_bytes, bounds.body_bytes) if bounds.spool_disk_bytes else 0
        #: What is held for all clients together.
        self.memory = Memory(bounds.memory_bytes, spool_bytes)
        self.access_log: Any = log
        #: Complete field lines added to each response that does not have the field.
        self.default_lines = _default_lines(options)
        #: The same as pairs, for HTTP/2.
        self.default_fields = _default_fields(options)
        self.has_date = options.identity.date_header
        self.body_limit = options.bounds.body_bytes
        self.read_ahead = options.bounds.read_ahead_bytes
        self.linger_bytes = options.bounds.linger_bytes
        self.keep_alive_s = options.timeouts.keep_alive_s
        self.keep_alive_requests = options.bounds.keep_alive_requests or 1 << 62
        self.concurrency = options.bounds.concurrency or connection_cap
        self.connection_cap = connection_cap
        self.max_requests = options.bounds.max_requests
        #: Keeps sessions with their workers (``affinity.sessions.Affinity``); None where there is nothing to keep.
        self.affinity: Judge | None = None
        #: Held to change what is counted here and in the ledger, where the interpreter's lock does not see to it that
        #: one thread at a time does; None where it does.
        self.lock: Any = None if has_lock() else threading.Lock()
        #: Set when the server begins to stop or to retire: each answer is then its connection's last.
        self.is_draining = False
        #: Exchanges begun and not yet over.
        self.running = 0
        #: Exchanges begun in all.
        self.served = 0
        #: Where it is written down what runs, for a supervisor; None when nobody supervises.
        self.ledger: Ledger | None = None
        #: Called once when ``max_requests`` is reached.
        self.on_worn_out: Any = None
        #: Answers the health path, also when the application has too much to do; None when there is none.
        self.health: Any = None

    def corrected(self, endpoints: Endpoints, head: RequestHead, now_s: float) -> Endpoints:
        """The ends as trusted hops tell them; from anybody else the fields are dropped, and a line says so."""
        applied = self.trust.apply(endpoints, head.fields)
        head.fields = applied.fields
        if applied.ignored:
            self.refusals.note_ignored(applied.ignored, endpoints.client, now_s)
        corrected: Endpoints = applied.endpoints
        return corrected


def _default_fields(options: ServeOptions) -> list[tuple[bytes, bytes]]:
    named = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in options.identity.headers]
    if options.identity.server_header and all(name != b"server" for name, _ in named):
        named.insert(0, (b"server", b"torana"))
    return named


def _default_lines(options: ServeOptions) -> bytes:
    lines = [b"server: torana\r\n"] if options.identity.server_header else []
    named = {name.lower() for name, _ in options.identity.headers}
    if "server" in named:
        lines.clear()
    for name, value in options.identity.headers:
        lines.append(f"{name}: {value}\r\n".encode("latin-1"))
    return b"".join(lines)
