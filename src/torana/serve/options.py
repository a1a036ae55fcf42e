"""What a deployer may say about serving: timers, bounds, identity, log. Values only; ``config`` fills them."""

from __future__ import annotations

from msgspec import Struct, field

from torana.wire.http1.limits import Limits
from torana.wire.http2.limits import Limits as Http2Limits
from torana.wire.websocket.limits import Limits as WebSocketLimits


class Timeouts(Struct, frozen=True):
    """Wall-clock limits in seconds; 0 turns one off. Rates in bytes per second."""

    #: From connect to the first byte of a request.
    first_byte_s: float = 15.0
    #: From its first byte to the end of a request head; grows by 1 s for each 500 bytes up to ``head_max_s``.
    head_s: float = 15.0
    head_max_s: float = 30.0
    #: Longest silence within a request body.
    body_idle_s: float = 30.0
    #: Least average rate of a request body once ``body_grace_s`` have passed.
    body_rate: int = 500
    body_grace_s: float = 20.0
    #: Longest time without the client taking a byte of the response.
    write_idle_s: float = 60.0
    #: Least average rate at which a client must take what waits for it, once ``write_idle_s`` have passed.
    write_rate: int = 500
    #: Idle time between two requests of a connection.
    keep_alive_s: float = 75.0
    #: Draining after a refusal or an early answer (lingering close).
    linger_s: float = 1.0
    #: Longest a PROXY protocol header may take.
    proxy_header_s: float = 3.0
    #: Graceful stop: time for running requests, then time after they were told to end.
    graceful_s: float = 25.0
    cancel_s: float = 3.0
    #: Between the wish to stop and the moment from which nobody is accepted any more (for load balancers).
    drain_delay_s: float = 0.0
    #: When stopping or retiring, a connection is closed once it has waited this long for its next request: a client
    #: that has just read an answer may have sent one already.
    idle_linger_s: float = 2.0
    #: Longest the application may take to answer one request, the client's own time not counted.
    request_s: float = 0.0
    #: WebSocket: from one ping to the next, how long its pong may take, and how long the closing handshake.
    websocket_ping_s: float = 20.0
    websocket_pong_s: float = 20.0
    websocket_close_s: float = 5.0
    #: HTTP/2: idle time of a connection without streams, and after which silence the client is asked whether it lives.
    http2_idle_s: float = 180.0
    http2_ping_s: float = 60.0
    #: HTTP/2: how long the client may take to acknowledge our settings.
    http2_settings_s: float = 10.0
    #: HTTP/2: longest time in which a stalled response (the client's window is closed) makes no progress.
    http2_stalled_s: float = 60.0


class Bounds(Struct, frozen=True):
    """Counts and sizes; sizes in bytes, 0 means no bound where that is allowed."""

    #: Open connections of this worker; 0 chooses min(10000, 0.8 x RLIMIT_NOFILE).
    connections: int = 0
    #: Requests running at once; 0 means as many as connections.
    concurrency: int = 0
    #: Requests served by one connection.
    keep_alive_requests: int = 10_000
    body_bytes: int = 100 * 1024 * 1024
    #: Request body read ahead of the application.
    read_ahead_bytes: int = 64 * 1024
    #: Unread request body thrown away so that a connection can be kept, or closed without a reset.
    linger_bytes: int = 64 * 1024
    #: Stop after this many requests; 0 never.
    max_requests: int = 0
    #: WebSocket: bytes of messages that wait for the application of one connection before reading pauses.
    websocket_queue_bytes: int = 64 * 1024
    #: Held for all clients of this worker together; 0: a quarter of the memory there is, shared by all workers, as far
    #: as whoever starts the server knows that.
    memory_bytes: int = 0
    #: Request bodies of this worker on disk, while WSGI applications have not read them.
    spool_disk_bytes: int = 1024 * 1024 * 1024


class Identity(Struct, frozen=True):
    """Who may speak for a client, and what is said about the server."""

    #: Addresses and networks ("10.0.0.0/8"), "unix", or "*".
    forwarded_allow_ips: tuple[str, ...] = ("127.0.0.1", "::1", "unix")
    #: Which fields of a trusted hop count: "forwarded", "x-forwarded", or "auto" (either, 400 where both disagree).
    forwarded_family: str = "auto"
    #: Expect a PROXY protocol header (v1 or v2) on each connection from a trusted hop.
    proxy_protocol: bool = False
    server_header: bool = True
    date_header: bool = True
    #: Fields added to each response, (name, value).
    headers: tuple[tuple[str, str], ...] = ()
    #: Origins of pages that may open a WebSocket besides those of the same host and port; "*" is any.
    websocket_origins: tuple[str, ...] = ()


class AccessLogOptions(Struct, frozen=True):
    """What is written about each request."""

    is_on: bool = True
    #: "auto" (short and coloured on a terminal, JSON otherwise), "combined", "json", or a format string.
    format: str = "auto"
    #: "-" is standard output.
    file: str = "-"


class SessionKey(Struct, frozen=True):
    """Where a request may carry what names its session."""

    #: "cookie" (ours), "header", "query" or "client" (its address).
    kind: str
    #: Of the cookie, the field (lower case) or the part of the query.
    name: str = ""
    #: A pattern whose first group finds the name in the beginning of an answer, for sessions that the application names
    #: there; "" for none. What it says in the field of a "header" is learned without.
    learned_by: str = ""
    #: "client": not for pages, with which a session begins; they are answered by whoever got the request.
    spares_pages: bool = False

    def describe(self) -> str:
        """In a few words."""
        if self.kind == "client":
            return "address of the client" + (" (not for pages)" if self.spares_pages else "")
        return f"{self.kind} {self.name}"


class ServeOptions(Struct, frozen=True):
    """Everything of floor ``serve``."""

    timeouts: Timeouts = field(default_factory=Timeouts)
    bounds: Bounds = field(default_factory=Bounds)
    limits: Limits = field(default_factory=Limits)
    http2: Http2Limits = field(default_factory=Http2Limits)
    websocket: WebSocketLimits = field(default_factory=WebSocketLimits)
    identity: Identity = field(default_factory=Identity)
    #: HTTP versions to speak: "1", "2", or "auto" for both.
    versions: str = "auto"
    access_log: AccessLogOptions = field(default_factory=AccessLogOptions)
    #: A path answered without the application: 200 while this worker takes requests, 503 when it soon will not; ""
    #: for none.
    health_path: str = ""
    #: A path that the application must answer (below 500) before the worker calls itself ready; "" for none.
    warm_up_path: str = ""
    #: What keeps a session with one of several workers: the first of these that a request carries; none: nothing does.
    affinity: tuple[SessionKey, ...] = ()
    #: Show the traceback of a failed request to the client (development only).
    error_pages: bool = False
