"""One HTTP/2 stream: the channel of one exchange, from its head to the last byte of its answer.

The upper storey of a stream (see ``answering``): what happens to its request, and its end. A stream stays with its
connection until the application has ended and the answer is sent, since both occupy what the client may use of us
(threats G-039, G-040). Never here: what is legal on a stream (``wire``), what a body may be (``exchange``).
"""

from __future__ import annotations

from typing import Any

from torana.base.endpoints import Endpoints
from torana.exchange.carrier import Carrier, Speaker
from torana.exchange.response import NO_BODY
from torana.serve import refusals, timeouts
from torana.serve.handshake import converse
from torana.serve.http2.answering import Answering
from torana.serve.http2.carrier import StreamCarrier
from torana.serve.http2.session import Session
from torana.wire.events import RequestHead, WireError
from torana.wire.http2.errors import CANCEL
from torana.wire.http2.streams import StreamState
from torana.wire.websocket.handshake import is_websocket

#: How much of a request the log of a stop quotes.
_METHOD_BYTES = 16
_PATH_BYTES = 96


class Stream(Answering):
    """Made when a request's head is complete. On the loop's thread, but for what ``exchange.roles`` says of a loan."""

    # From the client

    def call(self) -> None:
        """Have the request answered: everything that came with its head in one read is known by now."""
        session = self.session
        site = session.site
        head = self.request.head
        self.is_called = True
        self.account.begin(head, session.clock.now)
        affinity = site.affinity
        owner = -1
        if affinity is not None:
            owner = affinity.owner_elsewhere(head, self.request.endpoints, 0)
            self.response.witness = affinity.mark
        length = head.content_length
        if length != 0 and not head.expects_continue and head.upgrade is None:
            # Nobody is slow before the application has asked for the body.
            self._restart_body_clock()
        if site.body_limit and length > site.body_limit:
            self._fault = WireError(413, "body too large", "limit_body")
        if self._fault is not None:
            self.has_ended = True
            self.refuse(self._fault)
            return
        if site.running > site.concurrency or session.is_surplus:
            self._overloaded()
            return
        if site.max_requests and site.served == site.max_requests and site.on_worn_out is not None:
            site.on_worn_out()
        if owner >= 0 and affinity is not None and affinity.relay(self.request, self.response, owner):
            return
        if head.upgrade is not None:
            self._converse()
        else:
            site.gateway.answer(self.request, self.response)

    def _converse(self) -> None:
        """An extended CONNECT (RFC 8441): a conversation, a tunnel of the application's own, or nothing."""
        session = self.session
        request = self.request
        if converse(self, request, self.response, session.site, session.clock):
            return
        gateway = session.site.gateway.gateway_of(request)
        if gateway.takes_tunnels() and is_websocket(request.head.upgrade):
            gateway.answer(request, self.response)
        else:
            self.refuse(WireError(501, "connect: unknown protocol"))

    def body(self, data: bytes, size: int) -> None:
        """Body data; ``size`` bytes of window are the client's again when it was consumed."""
        carrier = self.carrier
        self.unacknowledged += size
        if carrier is not None:
            carrier.received(data)
            return
        if self.is_answered or self.is_dead or self._fault is not None:
            self.discard(len(data))
            return
        self._last_arrival = self.session.clock.now
        self._body_bytes += size
        request = self.request
        try:
            request.push(data)
        except WireError as fault:
            self.discard(0)
            if self.is_called:
                self.refuse(fault)
            else:
                self._fault = fault
            return
        if self.unacknowledged * 2 >= self.session.site.http2_limits.stream_window_bytes:
            # From here on the client may be waiting for us.
            self._is_body_awaited = False

    def complete(self, trailers: Any) -> None:
        """The request is complete."""
        self._is_body_awaited = False
        carrier = self.carrier
        if self.is_answered or self.is_dead or carrier is not None:
            if self.request is not None:
                self.request.is_ended = True
            if carrier is not None:
                carrier.ended()
            self.settle()
        else:
            self.request.end(trailers)

    def cancelled(self, reason: str, setting: str) -> None:
        """The stream was reset: by the client, or because of it."""
        if reason:
            self._note(reason, setting)
        if not self.is_called:
            # Not even begun: nobody hears of it.
            self.is_dead = self.is_called = self.has_ended = True
            self.settle()
            return
        self.lost()
        self.settle()

    # From the connection

    def lost(self) -> None:
        """Nothing can be sent or received any more: whoever answers is told, unless he has been."""
        if self.is_dead:
            return
        self.is_dead = True
        self._is_body_awaited = False
        if self.carrier is not None:
            self.carrier.lost()
            return
        if self.is_lent:
            # Told by waiting, or when the loan is over.
            if self._loan is not None:
                self._loan.tell()
            return
        if not self.is_answered:
            request, response = self.request, self.response
            response.lose()
            self.account.end(499, request, response, response.sent)
            # Last, for whoever hears of it may end at once, and then nothing is left.
            request.vanish()

    def half_closed(self) -> None:
        """The client will send nothing more: what it has asked for in full is answered, and nothing else."""
        request = self.request
        if self.is_dead or request is None:
            return
        if not request.is_ended or self.carrier is not None:
            self.give_up()
        elif not self.is_answered and not self.is_lent:
            request.lose()

    def give_up(self) -> None:
        """What is missing, of the request or of the client's windows, will never come."""
        if not self.is_dead:
            self.lost()
            self.session.wire.reset(self.state, CANCEL)
            self.session.schedule()
        self.settle()

    def drained(self) -> None:
        """What waited to be sent fell below the low-water mark."""
        if self._loan is not None:
            self._loan.tell()
        if self.carrier is not None:
            self.carrier.drained()
            return
        if self._behind is not None and not self.is_dead:
            self._pump()
            if self.is_full():
                return
        request = self.request
        # Held: whoever answers may let go of the exchange within this.
        answerer = None if request is None else request.answerer
        if answerer is not None:
            answerer.drained()

    def stop(self) -> None:
        """The time for running requests is spent: tell the application."""
        if self.carrier is not None:
            self.carrier.stop()
        else:
            answerer = None if self.request is None else self.request.answerer
            if answerer is not None:
                answerer.stop()

    def retire(self) -> None:
        """The server is going to stop: a conversation is told so, once."""
        if self.carrier is not None:
            self.carrier.retire()

    def look(self, now: float, is_stalled: bool, is_patient: bool) -> None:
        """About once a second. ``is_stalled``: what is not sent waits for the client's windows alone; ``is_patient``:
        it may not be the client's fault that the body does not come."""
        if self._is_stalled(now, is_stalled):
            self._note("client lets the response stall", "timeout_http2_stalled")
            carrier = self.carrier
            self.cut(CANCEL)
            if carrier is not None:
                carrier.lost()
            return
        if self.carrier is not None:
            self.carrier.look(now)
        elif self._is_body_awaited and not self.is_dead:
            if is_patient:
                self._restart_body_clock()
                return
            deadline = timeouts.body_deadline(
                self.session.site.timeouts, self._body_since, self._last_arrival, self._body_bytes
            )
            if deadline and now >= deadline:
                self.refuse(WireError(408, "request body too slow", "timeout_body"))

    def doing(self) -> tuple[bool, str]:
        """For the log: as the crowd asks its members."""
        if self.is_answered or self.is_dead:
            return False, "clients that still take their answer"
        head = self.request.head
        path = head.raw_path[:_PATH_BYTES].decode("ascii", "backslashreplace")
        return True, f"{head.method[:_METHOD_BYTES]} {path}"

    # Answers of the server's own

    def refuse(self, error: WireError) -> None:
        self._note(error.reason, error.setting)
        self._is_body_awaited = False
        request, response = self.request, self.response
        if self.is_answered or self.is_dead:
            return
        if response.is_begun() or self.is_lent:
            self.cut(CANCEL)
            return
        is_head = request.head.method == "HEAD"
        response.lose()
        request.lose()
        is_ended = request.answerer is None
        fields, body = refusals.refusal(error.status, is_http2=True)
        self._send_head(error.status, fields, NO_BODY if is_head else len(body), b"" if is_head else body, True)
        self.is_answered = True
        self.account.end(error.status, request, response, 0)
        if is_ended:
            self.has_ended = True
        self.settle()

    def _overloaded(self) -> None:
        """More requests run than may: this one is answered, not dropped (503, RFC 9110 section 15.6.4)."""
        session = self.session
        health = session.site.health
        if health is not None and health.is_asked(self.request):
            health.answer(self.request, self.response)
            return
        self._note("overload", "limit_connections" if session.is_surplus else "limit_concurrency")
        fields, body = refusals.refusal(503, is_http2=True)
        self.has_ended = True
        self.response.replace(503, fields, body)

    def leave_unlogged(self) -> None:
        """Keep the present exchange out of the access log."""
        self.account.leave_unlogged()

    # What the exchange becomes

    def upgrade(self, fields: Any, speaker: Speaker) -> Carrier:
        """200 (RFC 8441 section 5), and from there on the stream's DATA are bytes of the speaker's protocol."""
        self._send_head(200, fields, -1, b"", False)
        self.response.status, self.response.fields = 200, fields
        self._is_body_awaited = False
        # From here on the carrier tells whoever converses what becomes of it.
        self.request.answerer = None
        self.carrier = carrier = StreamCarrier(self, speaker)
        # What has come already is handed on when whoever upgrades has returned.
        self.session.post(self)
        return carrier

    def _hand_on(self) -> None:
        if self.carrier is not None:
            self.carrier.hand_on()


def new_stream(session: Session, state: StreamState, head: RequestHead, endpoints: Endpoints) -> Stream:
    """``Stream(...)``, without the cost of a call through the type."""
    made = Stream.__new__(Stream)
    made.begin(session, state, head, endpoints)
    state.owner = made
    return made
