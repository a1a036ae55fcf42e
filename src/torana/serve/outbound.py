"""What an HTTP/1 connection writes: the channel of its exchanges, and how one exchange makes way for the next.

The middle storey of a connection (see ``ending``). Never here: what a response may be (``exchange``), its bytes
(``wire``).
"""

from __future__ import annotations

from typing import Any

from torana.exchange.carrier import Carrier, Speaker
from torana.exchange.request import Request
from torana.exchange.response import NO_BODY, ClientDisconnected
from torana.net.clock import now_s
from torana.serve import timeouts
from torana.serve.ending import Ending
from torana.serve.memory import FLOOR
from torana.serve.phases import BODY, DISCARD, IDLE, OVER
from torana.serve.tunnel import NOWHERE, Tunnel
from torana.wire.http1.writer import field_lines

#: Bodies up to this size are copied into one piece with their head.
_JOIN_BYTES = 8 * 1024

#: The one protocol that makes way for another here.
_UPGRADE = [(b"upgrade", b"websocket"), (b"connection", b"upgrade")]


class Outbound(Ending):
    """The channel of one exchange after the other."""

    def respond(self, status: int, reason: bytes | None, fields: Any, length: int, data: Any, is_end: bool) -> None:
        wire, site, transport = self.wire, self.site, self.transport
        request, response = self.request, self.response
        assert request is not None and response is not None
        if response.wants_close or site.is_draining or (is_end and not self._can_discard(request)):
            wire.close_after()
        date_line = self.clock.date_line if site.has_date else b""
        ready = None
        known = response.head
        if known is not None and known.fields is fields:
            ready = known.written
            if ready is None:
                ready = known.written = field_lines(fields)
        size = len(data)
        if size <= _JOIN_BYTES:
            head = wire.send_head(status, reason, fields, length, data, is_end, date_line, site.default_lines, ready)
            if is_end or not transport.is_lent:
                transport.post(head)
            else:
                transport.write(head)
        else:
            head = wire.send_head(status, reason, fields, length, b"", False, date_line, site.default_lines, ready)
            transport.write_framed(head + wire.begin_data(size, is_end), data, wire.end_data(is_end), not is_end)
        if is_end:
            self._answered()
        elif transport.waiting:
            self._arm()

    def write(self, data: Any, is_end: bool) -> None:
        wire, transport = self.wire, self.transport
        size = len(data)
        if size:
            transport.write_framed(wire.begin_data(size, is_end), data, wire.end_data(is_end), not is_end)
        elif is_end:
            end = wire.finish()
            if end:
                transport.write(end)
            else:
                transport.push()
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

    def upgrade(self, fields: Any, speaker: Speaker) -> Carrier:
        wire, site, transport = self.wire, self.site, self.transport
        request, response = self.request, self.response
        assert request is not None and response is not None
        date_line = self.clock.date_line if site.has_date else b""
        fields = [*_UPGRADE, *fields]
        head = wire.send_head(101, None, fields, NO_BODY, b"", True, date_line, site.default_lines)
        transport.write(head)
        response.status, response.fields = 101, fields
        # Nothing of HTTP is kept for as long as a conversation may last.
        request.channel = response.channel = NOWHERE
        self.phase = OVER
        self.request = None
        self.response = None
        self._unburden()
        tunnel = Tunnel(transport, site, self.crowd, self.account, request, response, speaker, wire.hand_over())
        self.crowd.left(self)
        return tunnel

    def abort(self) -> None:
        self._is_aborted = True
        if not self.transport.is_lent:
            self.transport.poller.later(self.transport)

    def want_body(self) -> None:
        request = self.request
        if self.phase != BODY or request is None or request.is_ended:
            return
        wire = self.wire
        if wire.needs_continue and not wire.is_response_started:
            self.transport.write(wire.send_informational(100, []))
            self._restart_body_clock()
            self._arm()
        if not self.transport.is_reading:
            self._restart_body_clock()
            self.transport.set_reading(True)
            self._arm()
            if not self._is_advancing:
                # Even with nothing buffered: the body's end needs no byte more.
                self._advance()

    def is_full(self) -> bool:
        # A borrowing thread hears of a lost client only by waiting; the loop is told of it otherwise.
        transport = self.transport
        return transport.is_full() or (transport.is_lent and transport.is_lost())

    def keep(self, size: int) -> bool:
        if size and self.site.memory.is_tight:
            return False
        self._spooled = size
        if self._share is not None or size >= FLOOR:
            self._weigh()
        return True

    def spool(self, more: int) -> bool:
        return self.site.memory.spool(more)

    # The loan to another thread

    def lend(self) -> None:
        transport = self.transport
        # The wire is the other thread's from here on: whoever hands on its events must not ask it for more.
        self._is_handed_over = True
        self._read_deadline = transport.deadline = 0.0
        transport.is_reading = False
        transport.lend()

    def wait_drained(self) -> None:
        times = self.site.timeouts
        if self._share is None:
            # Only the loop counts.
            self.transport.poller.wake(self.transport)
        if not self.transport.wait_drained(times.write_idle_s, times.write_rate):
            self.site.refusals.note(
                "client takes the response too slowly", "timeout_write", self.endpoints.client, now_s()
            )
            self.transport.lose_soon()
        if self.transport.is_lost():
            if self.response is not None:
                self.response.lose()
            raise ClientDisconnected("the client is gone")

    def raw(self) -> Any:
        from torana.net.blocking import BlockingSocket

        transport = self.transport
        transport.leave()
        # An interim answer that its client does not take has to go first, and does not.
        if transport.is_lent and not transport.waiting and not transport.is_lost():
            self._raw = BlockingSocket(transport, self.wire.hand_over(), self.site.timeouts.write_idle_s)
        return self._raw

    def has_kept(self) -> bool:
        return self.transport.has_kept()

    def give_back(self) -> None:
        transport = self.transport
        transport.leave()
        if (
            self._is_answered
            and not self._is_aborted
            and transport.waiting == 0
            and self.wire.buffered == 0
            and not self._has_peer_closed
            and self._share is None
            and self.wire.next_cycle()
        ):
            # The common case ends here, on the borrowing thread: nothing waits, the connection is idle again.
            self._record(0)
            self.request = None
            self.response = None
            self.phase = IDLE
            self._head_size = self._spooled = 0
            transport.is_reading = True
            self._phase_started = now_s()
            self._read_deadline = self._phase_started + self.site.keep_alive_s if self.site.keep_alive_s else 0.0
            transport.deadline = self._read_deadline
            self._is_answered = False
            if not transport.give_back():
                transport.poller.wake(transport)
        else:
            self._is_returned = True
            transport.poller.wake(transport)

    def _raw_over(self) -> None:
        """The application has returned from what was no HTTP any more: account for it; the rest is the polite end."""
        raw, self._raw = self._raw, None
        raw.end()
        if raw.is_slow:
            self.site.refusals.note(
                "client takes WebSocket data too slowly", "timeout_write", self.endpoints.client, self.clock.now
            )
        if self.response is not None:
            self.response.sent = raw.sent
        self._record(0)

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
        self._head_size = self._spooled = 0
        if self.site.affinity is not None and wire.buffered:
            self._seen = wire.unparsed()
        if self.transport.waiting:
            # The next request, even one that is here already, waits until this answer is on its way: else the
            # answers of a client that does not read would pile up.
            self.transport.is_reading = False
            self._read_deadline = 0.0
            self._arm()
        else:
            self._await_next()

    def _await_next(self) -> None:
        transport = self.transport
        transport.set_reading(not self._is_eof)
        self._phase_started = self.clock.now
        self._read_deadline = self._phase_started + self.site.keep_alive_s if self.site.keep_alive_s else 0.0
        transport.deadline = self._read_deadline
        if self._share is not None:
            self._weigh()
        if (self.wire.buffered or self._is_eof) and not self._is_advancing:
            self._advance()

    def _can_discard(self, request: Request) -> bool:
        """Whether the rest of the body is small enough to be read and thrown away, so that the connection lives."""
        if request.is_ended:
            return True
        length = request.head.content_length
        return 0 <= length - request.received <= self.site.linger_bytes and not self.wire.needs_continue

    def _restart_body_clock(self) -> None:
        """The rate of a body is measured only while its client is the one to wait for."""
        self.phase = BODY
        self._phase_started = self._last_arrival = self.clock.now
        self._phase_bytes = 0
        self._read_deadline = timeouts.body_deadline(self.site.timeouts, self._phase_started, self._last_arrival, 0)
