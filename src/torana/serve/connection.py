"""One HTTP/1 connection: joins its transport to the wire, and the wire to one exchange after the other.

``readable`` feeds the wire and ``_advance`` hands on what it finds; one exchange at a time, in order. The top storey of
a connection (see ``ending``). Never here: what is legal in HTTP (``wire``), what a body may be (``exchange``), how an
application is called (``gateway``).
"""

from __future__ import annotations

from typing import Any

from torana.exchange.request import Request, new_request
from torana.exchange.response import new_response
from torana.serve import timeouts
from torana.serve.handshake import converse
from torana.serve.memory import FLOOR
from torana.serve.outbound import Outbound
from torana.serve.phases import ANSWER, BODY, CLOSING, DISCARD, FRESH, HEAD, IDLE, LINGER, OVER
from torana.wire.events import CLOSED, NEED_DATA, PAUSED, EndOfBody, RequestHead, WireError

#: What is missing of a body when its first read ends is read at once if it is no more than this: a head and 64 KiB,
#: which many clients send at a time, are just too much for one read.
_REST_BYTES = 16 * 1024

#: How HTTP/2 begins (RFC 9113 section 3.4), and its first byte.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_P = 0x50
#: How a PROXY protocol header begins, version 1 and 2.
_PROXY_HEADERS = (b"PROXY ", b"\r\n\r\n\x00\r\nQUIT\n")


class Connection(Outbound):
    """The owner of a transport; made when a socket was accepted."""

    # Told by the transport

    def readable(self) -> None:
        data = self.transport.recv()
        if data is None:
            return
        if not data:
            self._end_of_stream()
        elif self.phase >= CLOSING:
            self._throw_away(len(data))
        else:
            if self.phase == FRESH:
                data = self._begin_to_speak(data)
                if data is None:
                    return
            if self.site.affinity is not None:
                self._remember(data)
            self.wire.receive(data)
            self._is_full_read = self.transport.is_full_read(len(data))
            if self.phase == BODY:
                self._last_arrival = self.clock.now
            elif self.phase == HEAD:
                self._phase_bytes += len(data)
            self._advance()

    def drained(self) -> None:
        if self.phase == CLOSING:
            if self.transport.waiting == 0:
                self._linger_or_close()
        elif self.request is not None:
            # Held: whoever answers may let go of the exchange within this.
            answerer = self.request.answerer
            if answerer is not None:
                answerer.drained()
            if self.phase < CLOSING:
                self._arm()
        elif self.phase == IDLE and self.transport.waiting == 0:
            self._await_next()

    def blocked(self) -> None:
        if self.phase == IDLE:
            # As after any answer that the client does not take at once: its next request waits.
            self.transport.is_reading = False
            self._read_deadline = 0.0
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

    def woken(self) -> None:
        """After a loan, or when the transport was lost while somebody wrote."""
        transport = self.transport
        if self._is_returned:
            self._is_returned = False
            transport.give_back()
        elif transport.is_lent:
            # Meant for an earlier loan, or the borrower has written more than its client takes.
            if transport.waiting:
                self._weigh()
            return
        was_raw = self._raw is not None
        if was_raw:
            self._raw_over()
        transport.catch_up()
        if self.phase == OVER:
            return
        if was_raw:
            self._close_politely(is_refused=True)
            return
        if self._is_aborted:
            self._cut()
        elif self._is_answered:
            self._exchange_over()

    # Which HTTP it is

    def agreed(self, protocol: str | None) -> None:
        if protocol == "h2" and self.site.http2 is not None:
            self._become_http2().flush()

    def _begin_to_speak(self, data: bytes) -> bytes | None:
        """The first bytes, judged by the version that they are of; None when there is nothing to parse here."""
        if self._held is not None:
            data = self._held + data
            self._held = None
        if data[0] == _P and PREFACE.startswith(data[: len(PREFACE)]) and self.site.http2 is not None:
            if len(data) < len(PREFACE):
                # HTTP/1 may begin so, too; and it is not parsed twice.
                self._held = data
            else:
                self._become_http2().received(data)
            return None
        if self.is_http2_only:
            self.refuse(WireError(505, "HTTP/1 is turned off", "http"))
            return None
        if data.startswith(_PROXY_HEADERS):
            # Nobody trusted sent it, else it would have been read before; the parser refuses it.
            self.site.refusals.note_ignored((b"PROXY protocol header",), self.endpoints.client, self.clock.now)
        return data

    def _become_http2(self) -> Any:
        """Another takes over the transport, and our place in the crowd."""
        site = self.site
        self.phase = OVER
        self._unburden()
        other = site.http2(self.transport, site, self.endpoints, self.crowd)
        other.is_surplus = self.is_surplus
        self.crowd.joined(other)
        self.crowd.left(self)
        return other

    # Between workers

    def _remember(self, data: bytes) -> None:
        """Keep what may belong to a head that another worker has to read anew."""
        phase = self.phase
        if phase == FRESH or phase == HEAD or phase == IDLE:
            seen = self._seen
            if seen is None:
                self._seen = data
            else:
                if type(seen) is bytes:
                    self._seen = seen = bytearray(seen)
                seen += data

    def pass_over(self) -> Any:
        """Let go of the connection, for another worker to go on with: its socket, open."""
        self.phase = OVER
        self._unburden()
        self.crowd.left(self)
        return self.transport.release()

    def resume(self, data: bytes) -> None:
        """Go on with a connection that another worker has read ``data`` of."""
        if data:
            self._seen = data
            self.wire.receive(data)
            self._advance()

    # From the wire to the exchange

    def _advance(self) -> None:
        """Hand on all that the wire has; one exchange at a time, so a pipelined request waits for the answer."""
        if self._is_advancing:
            return
        self._is_advancing = True
        self._is_handed_over = False
        try:
            while self.phase < CLOSING:
                if self.phase == IDLE and self.transport.waiting:
                    return
                event = self.wire.next()
                if event is NEED_DATA:
                    self._need_data()
                    return
                if event is PAUSED:
                    self._paused()
                    return
                if type(event) is RequestHead:
                    if self._is_full_read:
                        self._fetch_rest(event)
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
                if self._is_handed_over:
                    return
        except WireError as error:
            self.refuse(error)
        finally:
            self._is_advancing = False

    def _fetch_rest(self, head: RequestHead) -> None:
        """Read the end of the body, and not a byte behind it, if that is all that is missing."""
        self._is_full_read = False
        missing = head.content_length - self.wire.buffered
        if 0 < missing <= _REST_BYTES:
            rest = self.transport.recv_rest(missing)
            if rest is not None:
                if self.site.affinity is not None:
                    self._remember(rest)
                self.wire.receive(rest)

    def _begin(self, head: RequestHead) -> None:
        """A request head is complete: make the exchange and have it answered."""
        site = self.site
        endpoints = self.endpoints
        self.served += 1
        if head.has_forwarding and not self.is_relay:
            endpoints = site.corrected(endpoints, head, self.clock.now)
        affinity = site.affinity
        owner = -1
        if affinity is not None:
            seen, self._seen = self._seen, None
            owner = affinity.owner_elsewhere(head, endpoints, self.hops)
            if owner >= 0 and seen is not None and affinity.pass_on(self, owner, seen):
                return
            self.hops = 0
        length = head.content_length
        if self.served >= site.keep_alive_requests or site.is_draining:
            self.wire.close_after()
        request = new_request(head, endpoints, self, site.body_limit, site.read_ahead)
        response = new_response(self, request)
        self.request = request
        self.response = response
        self._is_answered = False
        self._read_deadline = 0.0
        size = self.wire.head_size()
        if size >= FLOOR:
            self._head_size = size
            self._weigh()
        self.account.begin(head, self.clock.now)
        if affinity is not None:
            response.witness = affinity.mark
            if self.is_relay:
                # Who relays it writes the line, with what the client saw.
                self.account.leave_unlogged()
        if length == 0:
            self.phase = ANSWER
        else:
            self._restart_body_clock()
            if self.wire.needs_continue:
                # Nobody is slow before the application has asked for the body.
                self._read_deadline = 0.0
            if site.body_limit and length > site.body_limit:
                raise WireError(413, "body too large", "limit_body")
        if site.running > site.concurrency or self.is_surplus:
            self._overloaded()
            return
        if site.max_requests and site.served == site.max_requests and site.on_worn_out is not None:
            site.on_worn_out()
        if owner >= 0 and affinity is not None and affinity.relay(request, response, owner):
            return
        if head.upgrade is not None and converse(self, request, response, site, self.clock):
            return
        site.gateway.answer(request, response)

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
        if self.phase == BODY:
            if self.site.memory.is_tight:
                request.tighten()
            if request.is_full():
                self.transport.is_reading = False
                self._read_deadline = 0.0
                self._weigh()
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

    def _paused(self) -> None:
        """The request is complete; nothing is read until its answer is."""
        self.transport.is_reading = False
        request = self.request
        if request is not None:
            if request.buffered >= FLOOR:
                self._weigh()
            if self._has_peer_closed:
                # FIN was seen before this request's turn, and is not told twice.
                request.lose()
        self._arm()

    def _need_data(self) -> None:
        """More has to arrive: the deadline of the present phase runs."""
        phase = self.phase
        if phase == FRESH or phase == IDLE:
            if self.wire.is_between():
                return
            self.phase = HEAD
            self._phase_started = self.clock.now
            self._phase_bytes = 0
            self._read_deadline = timeouts.head_deadline(self.site.timeouts, self._phase_started, 0)
        elif phase == HEAD:
            self._read_deadline = timeouts.head_deadline(self.site.timeouts, self._phase_started, self._phase_bytes)
        elif phase == BODY and (not self.wire.needs_continue or self.wire.is_response_started):
            self._read_deadline = timeouts.body_deadline(
                self.site.timeouts, self._phase_started, self._last_arrival, self._phase_bytes
            )
        if self._has_peer_closed:
            # FIN was seen while reading was paused; the descriptor is readable until it has been read.
            self.transport.set_reading(True)
        if self.phase == HEAD or phase == BODY:
            self._weigh()
        self._arm()

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
        elif phase == BODY:
            self.lost()
        else:
            # What is still to be written of the last answer is not lost by it.
            self._close_politely()

    def _has_rest(self, request: Request) -> bool:
        """Whether all that is missing of the body lies unread in the kernel's buffer or in the wire's."""
        return request.received + self.wire.buffered + self.transport.unread() >= request.head.content_length
