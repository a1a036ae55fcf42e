"""How an HTTP/1 connection ends: refusals, timeouts, the lingering close, and the account of each exchange.

The lowest of the three storeys of a connection: this one, ``outbound`` (what is written), ``connection`` (what is
read). Never here: reading, parsing, an application's answer.
"""

from __future__ import annotations

from typing import Any

from torana.base.endpoints import Endpoints
from torana.exchange.carrier import Upgradable
from torana.exchange.request import Request
from torana.exchange.response import NO_BODY, Response
from torana.net.transport import Transport
from torana.serve import refusals, timeouts
from torana.serve.account import Account
from torana.serve.memory import FLOOR, TOO_MUCH, Share
from torana.serve.phases import BODY, CLOSING, DISCARD, FRESH, HEAD, IDLE, LINGER, OVER
from torana.serve.site import Site
from torana.wire.events import WireError
from torana.wire.http1.connection import Http1Connection

#: Younger connections are not closed for want of a request: their clients were told that they are through, so the
#: request may be on its way.
_FRESH_S = 1.0
#: The same where there is no place left: a round trip, for whoever has a handshake of TLS to make first.
_PRESSED_S = 0.25
#: More time for what has arrived and was not read.
_SPARED_S = 0.1

#: How much of a request the log of a stop quotes.
_METHOD_BYTES = 16
_PATH_BYTES = 96

#: Ends of a handshake that scanners and health checks cause all day.
_UNREMARKABLE = ("connection lost", "closed without a word")


class Ending(Upgradable):
    """What every part of a connection shares, and everything that can end it."""

    def __init__(self, transport: Transport, site: Site, endpoints: Endpoints, crowd: Any) -> None:
        self.transport = transport
        self.site = site
        self.endpoints = endpoints
        #: Told when the connection is over: ``crowd.left(connection)``.
        self.crowd = crowd
        self.wire = Http1Connection(site.limits)
        self.clock = transport.clock
        self.request: Request | None = None
        self.response: Response | None = None
        self.phase = FRESH
        self.served = 0
        #: Accepted beyond the cap: its first request is answered 503.
        self.is_surplus = False
        #: HTTP/1 is turned off.
        self.is_http2_only = False
        #: It comes from another worker, which has judged what forwarding fields there are.
        self.is_relay = False
        #: How often the next request was passed on between workers before it came here.
        self.hops = 0
        #: Where sessions have workers of their own: all that was read from the beginning of the next head on.
        self._seen: Any = None
        #: The first bytes, as long as they may be of either version.
        self._held: bytes | None = None
        self._is_advancing = False
        self._is_answered = False
        self._is_aborted = False
        self._is_returned = False
        self._is_handed_over = False
        self._has_peer_closed = False
        self._is_eof = False
        #: The last read took all that a read may: there may be more.
        self._is_full_read = False
        #: The connection as the application has taken it (``exchange.roles.RawStream``).
        self._raw: Any = None
        self._discarded = 0
        self._left_to_take = 0
        self._phase_started = self.clock.now
        self._last_arrival = self.clock.now
        self._phase_bytes = 0
        #: What the worker's memory counts of us, and of that the request's head and what is kept of its body.
        self._share: Share | None = None
        self._head_size = 0
        self._spooled = 0
        self.is_starved = False
        self._read_deadline = self.clock.now + site.timeouts.first_byte_s if site.timeouts.first_byte_s else 0.0
        self.account = Account(site)
        transport.owner = self
        transport.deadline = self._read_deadline

    def lost(self) -> None:
        """The connection is dead: everybody is told, nothing is sent."""
        if self.phase == OVER:
            return
        failure = self.transport.failure
        if failure and failure not in _UNREMARKABLE:
            site = self.site
            site.refusals.note(f"TLS: {failure}", "", self.endpoints.client, self.clock.now)
        request, response = self.request, self.response
        if request is not None and response is not None:
            response.lose()
            request.vanish()
            self._record(0 if self.phase == DISCARD else 499)
        if self.wire.is_close_delimited():
            # What was written may be a part, and FIN would call it the whole.
            self.transport.reset()
        self._leave()

    def refuse(self, error: WireError) -> None:
        """Answer what the peer did wrong, if that can still be said, and close; nothing after it is parsed."""
        site = self.site
        site.refusals.note(error.reason, error.setting, self.endpoints.client, self.clock.now)
        request, response = self.request, self.response
        is_begun = response is not None and response.is_begun()
        is_silent = is_begun or self.transport.is_lent or error.reason.startswith("truncated")
        is_head = request is not None and request.head.method == "HEAD"
        if response is not None and request is not None:
            response.lose()
            request.vanish()
        self._record(error.status)
        if not is_silent:
            fields, body = refusals.refusal(error.status)
            self.wire.close_after()
            self.transport.write(
                self.wire.send_head(
                    error.status, None, fields, NO_BODY if is_head else len(body), b"" if is_head else body, True,
                    self.clock.date_line if site.has_date else b"", site.default_lines,
                )
            )  # fmt: skip
        if is_begun:
            self._cut()
        else:
            self._close_politely(is_refused=True)

    def _overloaded(self) -> None:
        """More requests run than may: this one is answered, not dropped (503, RFC 9110 section 15.6.4)."""
        health = self.site.health
        if health is not None and health.is_asked(self.request):
            if self.is_surplus:
                self.wire.close_after()
            health.answer(self.request, self.response)
            return
        setting = "limit_connections" if self.is_surplus else "limit_concurrency"
        self.site.refusals.note("overload", setting, self.endpoints.client, self.clock.now)
        if self.is_surplus:
            self.wire.close_after()
        fields, body = refusals.page(503, ((b"retry-after", b"1"),))
        assert self.response is not None
        self.response.replace(503, fields, body)

    def expired(self, now: float) -> None:
        transport = self.transport
        if transport.is_lent:
            return
        if timeouts.takes_too_slowly(self.site.timeouts, transport, now):
            self.site.refusals.note("client takes the response too slowly", "timeout_write", self.endpoints.client, now)
            self.lost()
            return
        if self._read_deadline and self._read_deadline <= now:
            self._read_expired(now)
        elif self.phase != OVER:
            self._arm()

    def _read_expired(self, now: float) -> None:
        phase = self.phase
        if phase <= IDLE and self.transport.is_reading and self.transport.has_unread():
            # It was the loop that was held up, not the client.
            self._read_deadline = now + _SPARED_S
            self._arm()
            return
        self._read_deadline = 0.0
        if phase == FRESH or phase == IDLE:
            self._leave()
        elif phase == LINGER:
            self._linger_on()
        elif phase == HEAD:
            self.refuse(WireError(408, "request head too slow", "timeout_head"))
        elif phase == DISCARD:
            self._close_politely()
        elif phase == BODY:
            self.refuse(WireError(408, "request body too slow", "timeout_body"))
        elif phase == CLOSING:
            self._leave()

    def _cut(self) -> None:
        """End a message that has begun so that its client sees the break."""
        self._is_aborted = False
        if self.phase >= CLOSING:
            return
        request = self.request
        if request is not None:
            request.vanish()
        self._record(0)
        if self.wire.is_close_delimited():
            # Here FIN would read as a proper end of the body; only a reset tells the truth.
            self.transport.reset()
            self._leave()
        else:
            self._close_politely(is_refused=True)

    def _close_politely(self, is_refused: bool = False) -> None:
        """Close after the last byte is written, without a reset that would destroy it (RFC 9112 section 9.6)."""
        request = self.request
        self.transport.leave()
        more_may_come = is_refused or self.wire.buffered > 0
        if request is not None:
            # A client that did not ask for the end may be sending its next request already.
            more_may_come = more_may_come or not request.is_ended or request.head.keep_alive
            self._record(0)
        self.request = None
        self.response = None
        self.phase = CLOSING
        self._head_size = self._spooled = 0
        self._discarded = 0 if more_may_come or self.transport.has_unread() else -1
        self._read_deadline = 0.0
        if self.transport.waiting:
            self._arm()
        else:
            self._linger_or_close()

    def _linger_or_close(self) -> None:
        if self._discarded < 0 or self._has_peer_closed or not self.site.timeouts.linger_s:
            self._leave()
            return
        self.phase = LINGER
        self.transport.shutdown_write()
        self.transport.set_reading(True)
        self._left_to_take = self.transport.outgoing()
        self._read_deadline = self.clock.now + self.site.timeouts.linger_s
        self._arm()

    def _linger_on(self) -> None:
        """The time is over: close, unless the client is still taking the answer, which a reset would destroy."""
        times = self.site.timeouts
        left = self.transport.outgoing()
        if left == 0 or self._left_to_take - left <= times.write_rate * times.linger_s:
            self._leave()
            return
        self._left_to_take = left
        self._read_deadline = self.clock.now + times.linger_s
        self._arm()

    def _throw_away(self, size: int) -> None:
        self._discarded = max(0, self._discarded) + size
        if self._discarded > self.site.linger_bytes:
            # Enough; but closing with more unread would reset the connection before the client has read its answer.
            self.transport.set_reading(False)

    def waiting_since(self, has_heads: bool) -> float:
        """Since when only the client's next bytes are awaited; 0 when it may not be closed in favour of others.

        ``has_heads``: see ``admission.Member``.
        """
        phase = self.phase
        transport = self.transport
        if transport.is_lent or transport.waiting:
            return 0.0
        if phase == IDLE:
            return self._phase_started
        if phase == FRESH or (has_heads and phase == HEAD):
            age_s = self.clock.now - self._phase_started
            return self._phase_started if age_s >= (_PRESSED_S if has_heads else _FRESH_S) else 0.0
        return 0.0

    def close_if_idle(self, before: float) -> bool:
        """Close a connection that has waited for its client since ``before``, unless bytes are there already."""
        since = self.waiting_since(False)
        if since == 0.0 or since > before or self.transport.has_unread():
            return False
        self._leave()
        return True

    def doing(self) -> list[tuple[bool, str]]:
        """Why it is still open, for the log: see ``admission.Member``."""
        request = self.request
        if request is not None and self.phase != DISCARD:
            path = request.head.raw_path[:_PATH_BYTES].decode("ascii", "backslashreplace")
            return [(True, f"{request.head.method[:_METHOD_BYTES]} {path}")]
        if self.transport.waiting:
            return [(False, "clients that still take their answer")]
        if self.phase == HEAD or self.phase == FRESH:
            return [(False, "requests whose head is not complete")]
        return [(False, "connections about to close")]

    def evict(self) -> None:
        """Close to make room for others, when ``waiting_since`` allows it."""
        if not self.transport.has_unread():
            self._leave()

    def stop(self) -> None:
        """The time for running requests is spent: tell the application."""
        # Held: whoever answers may let go of the exchange within this.
        answerer = None if self.request is None else self.request.answerer
        if answerer is not None:
            answerer.stop()
        elif self.phase != OVER and not self.transport.is_lent:
            self._leave()

    def kill(self) -> None:
        """End now, whatever runs."""
        if self.transport.is_lent:
            # The thread is told by its next write, and at once if it waits for the client.
            self.transport.sever()
        else:
            self.lost()

    def forsake(self) -> None:
        """In a forked child: close the copy of the socket, which is the parent's, and tell nobody."""
        self.transport.sock.close()

    def _leave(self) -> None:
        if self.phase == OVER:
            return
        if self.request is not None:
            self._record(499)
        self.phase = OVER
        self.request = None
        self.response = None
        self.transport.close()
        self._unburden()
        self.crowd.left(self)

    # Told by the worker's memory: see ``memory.Holder``

    def holding(self) -> int:
        held = self.transport.held() + self.wire.buffered + self._head_size + self._spooled
        request = self.request
        if request is not None:
            held += request.buffered
        if self.phase == HEAD:
            held += self.wire.head_size()
        return held

    def moved(self) -> int:
        request = self.request
        return self.transport.moved() + (0 if request is None else request.received - request.buffered)

    def feed(self) -> bool:
        """Nobody waits here: what is not read waits for the application only."""
        return False

    def shed(self) -> bool:
        transport = self.transport
        if self.phase == OVER or (transport.is_lent and not transport.waiting):
            # What a thread has borrowed it alone can give back.
            return False
        self.site.refusals.note(TOO_MUCH, "limit_memory", self.endpoints.client, self.clock.now)
        if transport.is_lent:
            transport.sever()
        else:
            transport.lose_soon()
        return True

    def _weigh(self) -> None:
        """Have what is held for this client counted."""
        if self.phase != OVER:
            self._share = self.site.memory.weigh(self._share, self, self.holding())

    def _unburden(self) -> None:
        """Nothing is held any more."""
        share, self._share = self._share, None
        if share is not None:
            self.site.memory.drop(share)

    def leave_unlogged(self) -> None:
        """Keep the present exchange out of the access log."""
        self.account.leave_unlogged()

    def _record(self, status: int) -> None:
        """Account for the exchange once; ``status`` 0 takes the response's own."""
        request, response = self.request, self.response
        if request is None or response is None or self.phase == OVER:
            return
        self.account.end(status or response.status, request, response, response.sent)
        self.request = None
        self.response = None

    def _arm(self) -> None:
        """Set the transport's one deadline from those of reading and writing."""
        deadline = self._read_deadline
        transport = self.transport
        if transport.waiting:
            deadline = timeouts.with_write(self.site.timeouts, deadline, transport.looked_at)
        transport.deadline = deadline
        if (self._share is not None or transport.waiting >= FLOOR) and not transport.is_lent:
            self._weigh()

    def _advance(self) -> None:
        """Hand on all that the wire has."""
        raise NotImplementedError
