"""How an HTTP/1 connection ends: refusals, timeouts, the lingering close, and the account of each exchange.

The lowest of the three storeys of a connection: this one, ``outbound`` (what is written), ``connection`` (what is
read). Never here: reading, parsing, an application's answer.
"""

from __future__ import annotations

import time
from typing import Any

from torana.base.endpoints import Endpoints
from torana.exchange.request import Request
from torana.exchange.response import Response
from torana.exchange.roles import Channel
from torana.net.transport import Transport
from torana.serve import refusals, timeouts
from torana.serve.phases import BODY, CLOSING, DISCARD, FRESH, HEAD, IDLE, LINGER, OVER
from torana.serve.site import Site
from torana.wire.events import WireError
from torana.wire.http1.connection import Http1Connection


class Ending(Channel):
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
        self._is_advancing = False
        self._is_answered = False
        self._is_aborted = False
        self._is_returned = False
        self._has_peer_closed = False
        self._is_eof = False
        self._discarded = 0
        self._phase_started = self.clock.now
        self._last_arrival = self.clock.now
        self._phase_bytes = 0
        self._read_deadline = self.clock.now + site.timeouts.first_byte_s if site.timeouts.first_byte_s else 0.0
        self._began = 0.0
        self._began_wall = 0.0
        transport.owner = self
        transport.deadline = self._read_deadline

    def lost(self) -> None:
        """The connection is dead: everybody is told, nothing is sent."""
        if self.phase == OVER:
            return
        request, response = self.request, self.response
        if request is not None and response is not None:
            response.lose()
            request.lose()
            self._record(499)
        self._leave()

    def refuse(self, error: WireError) -> None:
        """Answer what the peer did wrong, if that can still be said, and close; nothing after it is parsed."""
        site = self.site
        site.refusals.note(error.reason, error.setting, self.endpoints.client, self.clock.now)
        request, response = self.request, self.response
        is_begun = response is not None and response.is_begun()
        is_silent = is_begun or self.transport.is_lent or error.reason.startswith("truncated")
        if response is not None and request is not None:
            response.lose()
            request.lose()
        self._record(error.status)
        if not is_silent:
            more = ((b"retry-after", b"1"),) if error.status == 503 else ()
            fields, body = refusals.page(error.status, more)
            self.wire.close_after()
            self.transport.write(
                self.wire.send_head(
                    error.status, None, fields, len(body), body, True,
                    self.clock.date_line if site.has_date else b"", site.default_lines,
                )
            )  # fmt: skip
        if is_begun:
            self._cut()
        else:
            self._close_politely(is_refused=True)

    def _overloaded(self) -> None:
        """More requests run than may: this one is answered, not dropped (503, RFC 9110 section 15.6.4)."""
        setting = "limit_connections" if self.is_surplus else "limit_concurrency"
        self.site.refusals.note("overload", setting, self.endpoints.client, self.clock.now)
        if self.is_surplus:
            self.wire.close_after()
        fields, body = refusals.page(503, ((b"retry-after", b"1"),))
        assert self.response is not None
        self.response.replace(503, fields, body)

    def expired(self, now: float) -> None:
        transport = self.transport
        times = self.site.timeouts
        if transport.is_lent:
            return
        if transport.waiting and timeouts.is_write_too_slow(
            times, now, transport.blocked_since, transport.last_progress, transport.blocked_sent
        ):
            self.site.refusals.note("client takes the response too slowly", "timeout_write", self.endpoints.client, now)
            self.lost()
            return
        if self._read_deadline and self._read_deadline <= now:
            self._read_expired(now)
        elif self.phase != OVER:
            self._arm()

    def _read_expired(self, now: float) -> None:
        phase = self.phase
        times = self.site.timeouts
        self._read_deadline = 0.0
        if phase == FRESH or phase == IDLE or phase == LINGER:
            self._leave()
        elif phase == HEAD:
            self.refuse(WireError(408, "request head too slow", "timeout_head"))
        elif phase == DISCARD:
            self._close_politely()
        elif phase == BODY:
            if timeouts.is_body_too_slow(times, now, self._phase_started, self._last_arrival, self._phase_bytes):
                self.refuse(WireError(408, "request body too slow", "timeout_body"))
            else:
                self._read_deadline = timeouts.body_deadline(times, self._phase_started, max(self._last_arrival, now - 1))
                self._read_deadline = max(self._read_deadline, now + 0.25)
                self._arm()
        elif phase == CLOSING:
            self._leave()

    def _cut(self) -> None:
        """End a message that has begun so that its client sees the break."""
        request = self.request
        if request is not None:
            request.lose()
        self._record(0)
        self._is_aborted = False
        if self.wire.is_close_delimited():
            # Here FIN would read as a proper end of the body; only a reset tells the truth.
            self.transport.reset()
            self._leave()
        else:
            self._close_politely(is_refused=True)

    def _close_politely(self, is_refused: bool = False) -> None:
        """Close after the last byte is written, without a reset that would destroy it (RFC 9112 section 9.6)."""
        request = self.request
        if request is not None and self.response is not None:
            self._record(0)
        more_may_come = is_refused or self.wire.buffered > 0 or (request is not None and not request.is_ended)
        self.request = None
        self.response = None
        self.phase = CLOSING
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
        self._read_deadline = self.clock.now + self.site.timeouts.linger_s
        self._arm()

    def _throw_away(self, size: int) -> None:
        self._discarded = max(0, self._discarded) + size
        if self.phase == LINGER and self._discarded > self.site.linger_bytes:
            self._leave()

    def is_idle(self) -> bool:
        """Whether it is between two requests, or has not sent a byte."""
        return self.phase == IDLE or self.phase == FRESH

    def is_fresh(self) -> bool:
        """Whether it was accepted and has not sent a byte."""
        return self.phase == FRESH

    def idle_until(self) -> float:
        """When it would be closed for being idle; monotonic seconds."""
        return self._read_deadline

    def close_if_idle(self) -> bool:
        """Close a connection that is between two requests; for a graceful stop and when descriptors run short."""
        if self.phase == IDLE or self.phase == FRESH:
            if self.transport.has_unread():
                return False
            self._leave()
            return True
        return False

    def stop(self) -> None:
        """The time for running requests is spent: tell the application."""
        if self.request is not None and self.request.answerer is not None:
            self.request.answerer.stop()
        elif self.phase != OVER and not self.transport.is_lent:
            self._leave()

    def kill(self) -> None:
        """End now, whatever runs."""
        if not self.transport.is_lent:
            self.lost()

    def _leave(self) -> None:
        if self.phase == OVER:
            return
        if self.request is not None:
            self._record(499)
        self.phase = OVER
        self.request = None
        self.response = None
        self.transport.close()
        self.crowd.left(self)

    def _record(self, status: int) -> None:
        """Account for the exchange once; ``status`` 0 takes the response's own."""
        request, response = self.request, self.response
        if request is None or response is None or self.phase == OVER:
            return
        site = self.site
        site.running -= 1
        log = site.access_log
        if log is not None:
            head = request.head
            client = request.endpoints.client
            log.record(
                client[0] if client is not None else None, head.method, head.target, head.version,
                status or response.status, response.sent, time.monotonic() - self._began, self._began_wall,
                None, head.fields, response.fields,
            )  # fmt: skip
        self.request = None
        self.response = None

    def _arm(self) -> None:
        """Set the transport's one deadline from those of reading and writing."""
        deadline = self._read_deadline
        transport = self.transport
        if transport.waiting:
            times = self.site.timeouts
            if times.write_idle_s:
                write_deadline = max(transport.last_progress + times.write_idle_s, self.clock.now + 0.01)
                if deadline == 0.0 or write_deadline < deadline:
                    deadline = write_deadline
        transport.deadline = deadline

    def _advance(self) -> None:
        """Hand on all that the wire has."""
        raise NotImplementedError
