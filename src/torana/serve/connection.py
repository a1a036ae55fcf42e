"""One HTTP/1 connection: joins its transport to the wire, and the wire to one exchange after the other.

Inbound, ``readable`` feeds the wire and ``_advance`` hands on what it finds; outbound, the exchange's channel writes
what the wire serialises. Knows when a connection may be used again, and how it ends so that nothing is destroyed.
Never here: what is legal in HTTP (``wire``), what a body may be (``exchange``), how an application is called.
"""

from __future__ import annotations

import time
from typing import Any

from torana.base.endpoints import Endpoints
from torana.exchange.request import Request, new_request
from torana.exchange.response import ClientDisconnected, Response, new_response
from torana.exchange.roles import Channel
from torana.net.transport import Transport
from torana.serve import refusals, timeouts
from torana.serve.site import Site
from torana.wire.events import CLOSED, NEED_DATA, PAUSED, EndOfBody, RequestHead, WireError
from torana.wire.http1.connection import Http1Connection

# Phases
FRESH = 0  # accepted, no byte yet
HEAD = 1  # within a request head
BODY = 2  # the request body is arriving, or the application holds it up
ANSWER = 3  # the request is complete, the answer is not
IDLE = 4  # between two requests
DISCARD = 5  # the answer is complete, the rest of the body is thrown away
CLOSING = 6  # the last bytes are being written
LINGER = 7  # FIN is sent, what still arrives is thrown away
OVER = 8

#: Bodies up to this size travel in one piece with their head.
_JOIN_BYTES = 64 * 1024


class Connection(Channel):
    """The owner of a transport, and the channel of its exchanges (one at a time, in order)."""

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

    # Inbound: the transport's owner

    def readable(self) -> None:
        data = self.transport.recv()
        if data is None:
            return
        if not data:
            self._end_of_stream()
        elif self.phase >= CLOSING:
            self._throw_away(len(data))
        else:
            self.wire.receive(data)
            if self.phase == BODY:
                self._last_arrival = self.clock.now
            self._advance()

    def drained(self) -> None:
        if self.phase == CLOSING:
            self._linger_or_close()
        elif self.request is not None:
            if self.request.answerer is not None:
                self.request.answerer.drained()
            if self.phase < CLOSING:
                self._arm()

    def peer_closed(self) -> None:
        """FIN arrived while reading was paused: the rest of the request may still lie in the kernel's buffer."""
        self._has_peer_closed = True
        if self.phase == CLOSING or self.phase == LINGER:
            return
        request = self.request
        if request is not None and request.is_ended:
            request.lose()
        elif request is not None and request.head.content_length < 0:
            # Chunked: only reading on can tell whether the body is complete; what is left is finite.
            self.transport.set_reading(True)
        elif request is not None and not self._has_rest(request):
            self.lost()

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

    def woken(self) -> None:
        """After a loan, or when the transport was lost while somebody wrote."""
        transport = self.transport
        if self._is_returned:
            self._is_returned = False
            transport.give_back()
        transport.catch_up()
        if self.phase == OVER or transport.is_lent:
            return
        if self._is_aborted:
            self._cut()
        elif self._is_answered:
            self._exchange_over()

    def _advance(self) -> None:
        """Hand on all that the wire has; one exchange at a time, so a pipelined request waits for the answer."""
        if self._is_advancing:
            return
        self._is_advancing = True
        try:
            while self.phase < CLOSING:
                event = self.wire.next()
                if event is NEED_DATA:
                    self._need_data()
                    return
                if event is PAUSED:
                    self.transport.is_reading = False
                    self._arm()
                    return
                if type(event) is RequestHead:
                    self._begin(event)
                elif type(event) is bytes:
                    if not self._body(event):
                        return
                elif type(event) is EndOfBody:
                    self._body_complete(event.trailers)
                else:
                    assert event is CLOSED
                    self._close_politely()
                    return
        except WireError as error:
            self.refuse(error)
        finally:
            self._is_advancing = False

    def _begin(self, head: RequestHead) -> None:
        """A request head is complete: make the exchange and have it answered."""
        site = self.site
        endpoints = self.endpoints
        self.served += 1
        site.served += 1
        if head.has_forwarding:
            endpoints = self._corrected(head)
        length = head.content_length
        if self.served >= site.keep_alive_requests or site.is_draining:
            self.wire.close_after()
        request = new_request(head, endpoints, self, site.body_limit, site.read_ahead)
        response = new_response(self, request)
        self.request = request
        self.response = response
        self._is_answered = False
        self._read_deadline = 0.0
        if site.access_log is not None:
            self._began = time.monotonic()
            self._began_wall = time.time()
        site.running += 1
        if length == 0:
            self.phase = ANSWER
        else:
            self._restart_body_clock()
            if site.body_limit and length > site.body_limit:
                raise WireError(413, "body too large", "limit_body")
        if site.running > site.concurrency or self.is_surplus:
            self._overloaded()
            return
        if site.max_requests and site.served == site.max_requests and site.on_worn_out is not None:
            site.on_worn_out()
        site.gateway.answer(request, response)

    def _corrected(self, head: RequestHead) -> Endpoints:
        """The ends as trusted hops tell them; from anybody else the fields are dropped, and a line says so."""
        applied = self.site.trust.apply(self.endpoints, head.fields)
        head.fields = applied.fields
        if applied.ignored:
            self.site.refusals.note_ignored(applied.ignored, self.endpoints.client, self.clock.now)
        corrected: Endpoints = applied.endpoints
        return corrected

    def _body(self, data: bytes) -> bool:
        """Body data; False when the application has enough for now and reading pauses."""
        request = self.request
        assert request is not None
        self._phase_bytes += len(data)
        if self.phase == DISCARD:
            self._discarded += len(data)
            if self._discarded > self.site.linger_bytes:
                self._close_politely()
                return False
            return True
        request.push(data)
        if self.phase == BODY and request.is_full():
            self.transport.is_reading = False
            self._read_deadline = 0.0
            self._arm()
            return False
        return True

    def _body_complete(self, trailers: Any) -> None:
        request = self.request
        assert request is not None
        if self.phase == DISCARD:
            request.is_ended = True
            self._cycle()
        else:
            self.phase = ANSWER
            self._read_deadline = 0.0
            request.end(trailers)

    def _need_data(self) -> None:
        """More has to arrive: the deadline of the present phase runs."""
        phase = self.phase
        if phase == FRESH or phase == IDLE:
            if self.wire.is_between():
                return
            self.phase = HEAD
            self._phase_started = self.clock.now
            self._read_deadline = timeouts.head_deadline(self.site.timeouts, self._phase_started, 0)
        elif phase == HEAD:
            self._read_deadline = timeouts.head_deadline(
                self.site.timeouts, self._phase_started, self.wire.buffered
            )
        elif phase == BODY:
            self._read_deadline = timeouts.body_deadline(
                self.site.timeouts, self._phase_started, self._last_arrival
            )
        if self._has_peer_closed:
            # FIN was seen while reading was paused; the descriptor is readable until it has been read.
            self.transport.set_reading(True)
        self._arm()

    def _restart_body_clock(self) -> None:
        """The rate of a body is measured only while its client is the one to wait for."""
        self.phase = BODY
        self._phase_started = self._last_arrival = self.clock.now
        self._phase_bytes = 0
        self._read_deadline = timeouts.body_deadline(self.site.timeouts, self._phase_started, self._last_arrival)

    def _end_of_stream(self) -> None:
        """FIN, after everything before it was read."""
        self._has_peer_closed = True
        self._is_eof = True
        self.transport.is_reading = False
        phase = self.phase
        if phase >= CLOSING:
            if phase == LINGER:
                self._leave()
            return
        self.wire.receive_eof()
        if phase == ANSWER:
            # A half-closed client still reads: it gets the answer that is being made (RFC 9112 section 9.6).
            if self.request is not None:
                self.request.lose()
        else:
            self.lost()

    def _has_rest(self, request: Request) -> bool:
        """Whether all that is missing of the body lies unread in the kernel's buffer or in the wire's."""
        return request.received + self.wire.buffered + self.transport.unread() >= request.head.content_length

    # Outbound: the exchange's channel

    def respond(self, status: int, reason: bytes | None, fields: Any, length: int, data: Any, is_end: bool) -> None:
        wire, site, transport = self.wire, self.site, self.transport
        request, response = self.request, self.response
        assert request is not None and response is not None
        if response.wants_close or site.is_draining or (is_end and not self._can_discard(request)):
            wire.close_after()
        date_line = self.clock.date_line if site.has_date else b""
        size = len(data)
        if size <= _JOIN_BYTES:
            transport.write(
                wire.send_head(status, reason, fields, length, data, is_end, date_line, site.default_lines)
            )
        else:
            head = wire.send_head(status, reason, fields, length, b"", False, date_line, site.default_lines)
            transport.write_framed(head + wire.begin_data(size, is_end), data, wire.end_data(is_end))
        if is_end:
            self._answered()
        elif transport.waiting:
            self._arm()

    def write(self, data: Any, is_end: bool) -> None:
        wire, transport = self.wire, self.transport
        size = len(data)
        if size:
            transport.write_framed(wire.begin_data(size, is_end), data, wire.end_data(is_end))
        elif is_end:
            end = wire.finish()
            if end:
                transport.write(end)
        if is_end:
            self._answered()
        elif transport.waiting:
            self._arm()

    def write_file(self, fd: int, offset: int, count: int, is_end: bool) -> None:
        wire, transport = self.wire, self.transport
        begin = wire.begin_data(count, is_end)
        if begin:
            transport.write(begin)
        transport.write_file(fd, offset, count)
        end = wire.end_data(is_end)
        if end:
            transport.write(end)
        if is_end:
            self._answered()
        elif transport.waiting:
            self._arm()

    def write_trailers(self, fields: Any) -> None:
        self.transport.write(self.wire.send_trailers(fields))
        self._answered()

    def inform(self, status: int, fields: Any) -> None:
        data = self.wire.send_informational(status, fields)
        if data:
            self.transport.write(data)

    def abort(self) -> None:
        self._is_aborted = True
        if not self.transport.is_lent:
            self.transport.poller.later(self.transport)

    def want_body(self) -> None:
        request = self.request
        if self.phase != BODY or request is None or request.is_ended:
            return
        if self.wire.needs_continue:
            self.transport.write(self.wire.send_informational(100, []))
        if not self.transport.is_reading:
            self._restart_body_clock()
            self.transport.set_reading(True)
            self._arm()
            if not self._is_advancing and self.wire.buffered:
                self._advance()

    def is_full(self) -> bool:
        return self.transport.is_full()

    def lend(self) -> None:
        self.transport.lend()

    def wait_drained(self) -> None:
        times = self.site.timeouts
        if not self.transport.wait_drained(times.write_idle_s, times.write_rate):
            self.site.refusals.note(
                "client takes the response too slowly", "timeout_write", self.endpoints.client, time.monotonic()
            )
            self.transport.lose_soon()
        if self.transport.is_lost():
            if self.response is not None:
                self.response.lose()
            raise ClientDisconnected("the client is gone")

    def give_back(self) -> None:
        transport = self.transport
        if (
            self._is_answered
            and not self._is_aborted
            and transport.waiting == 0
            and self.wire.buffered == 0
            and not self._has_peer_closed
            and self.wire.next_cycle()
        ):
            # The common case ends here, on the borrowing thread: nothing waits, the connection is idle again.
            self._record(0)
            self.request = None
            self.response = None
            self.phase = IDLE
            transport.is_reading = True
            self._read_deadline = time.monotonic() + self.site.keep_alive_s if self.site.keep_alive_s else 0.0
            transport.deadline = self._read_deadline
            self._is_answered = False
            if not transport.give_back():
                transport.poller.wake(transport)
        else:
            self._is_returned = True
            transport.poller.wake(transport)

    # The end of an exchange

    def _answered(self) -> None:
        self._is_answered = True
        if not self.transport.is_lent:
            self._exchange_over()

    def _exchange_over(self) -> None:
        """The answer is complete: account for it, and go on to the next request or to the end."""
        request = self.request
        assert request is not None
        self._is_answered = False
        request.lose()
        if request.is_ended:
            self._cycle()
        elif self.wire.keep_alive and not self._is_eof:
            self.phase = DISCARD
            self._discarded = 0
            linger_s = self.site.timeouts.linger_s
            self._read_deadline = self.clock.now + linger_s if linger_s else 0.0
            self.transport.set_reading(True)
            self._arm()
            if not self._is_advancing:
                self._advance()
        else:
            self._close_politely()

    def _cycle(self) -> None:
        wire = self.wire
        if not wire.next_cycle():
            self._close_politely()
            return
        self._record(0)
        self.request = None
        self.response = None
        self.phase = IDLE
        self.transport.set_reading(not self._is_eof)
        self._read_deadline = self.clock.now + self.site.keep_alive_s if self.site.keep_alive_s else 0.0
        if self.transport.waiting:
            self._arm()
        else:
            self.transport.deadline = self._read_deadline
        if (wire.buffered or self._is_eof) and not self._is_advancing:
            self._advance()

    def _can_discard(self, request: Request) -> bool:
        """Whether the rest of the body is small enough to be read and thrown away, so that the connection lives."""
        if request.is_ended:
            return True
        length = request.head.content_length
        return 0 <= length - request.received <= self.site.linger_bytes and not self.wire.needs_continue

    # Refusing and closing

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
