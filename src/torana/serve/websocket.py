"""One open WebSocket: joins its carrier to the wire, and the wire to the conversation of its application.

Holds all that has to do with time: pings, the pace of a message, the closing handshake, the end when the server stops.
Never here: what a frame may be (``wire``), what an application may say (``exchange``), how the carrier writes.
RFC 6455 sections 5.5, 7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torana.exchange.carrier import Carrier, Speaker, Upgradable
from torana.exchange.duplex import ABNORMAL, INTERNAL_ERROR
from torana.exchange.roles import Link
from torana.exchange.states import CLOSED, OPEN
from torana.serve import timeouts
from torana.serve.memory import TOO_MUCH
from torana.wire.events import NEED_DATA
from torana.wire.websocket.connection import BUSY, PONG, Closed, WebSocketConnection
from torana.wire.websocket.handshake import answer

if TYPE_CHECKING:
    from torana.exchange.duplex import Duplex
    from torana.net.clock import Clock
    from torana.serve.memory import Memory, Share
    from torana.serve.site import Site
    from torana.wire.events import Fields
    from torana.wire.websocket.handshake import Offer

#: From this size on a message is written beside its frame's head instead of being copied behind it.
_LARGE_BYTES = 8 * 1024
#: Messages that one connection may hand on in one turn of the loop: an application that needs no time for each would
#: else have the loop to itself, for as many as one read brings.
_MOST_A_TURN = 64
#: What one connection may hold without a word to the others of its worker.
_LIGHT_BYTES = 64 * 1024

#: Close codes of ours (RFC 6455 section 7.4.1; IANA's registry).
_POLICY = 1008
_RESTART = 1012
_TRY_LATER = 1013


class WebSocket(Link):
    """Made when a handshake was found good; ``channel`` is that of its exchange."""

    def __init__(self, site: Site, clock: Clock, channel: Upgradable, offer: Offer) -> None:
        self.site = site
        self.clock = clock
        self.duplex: Duplex = None  # type: ignore[assignment]
        #: Set once the handshake is accepted; then there is no channel any more.
        self.carrier: Carrier = None  # type: ignore[assignment]
        self.has_ended = False
        self._channel: Upgradable | None = channel
        self._offer: Any = offer
        self._wire: WebSocketConnection = None  # type: ignore[assignment]
        self._memory: Memory = site.memory
        self._share: Share | None = None
        self._is_over = False
        #: It has to go, to make room for others.
        self._is_shed = False
        self._is_handing_on = False
        self._left_of_turn = _MOST_A_TURN
        #: Not read because the application has enough, or because all of the worker's have too much.
        self._is_paused = False
        self.is_starved = False
        #: Something came since the last ping.
        self._is_heard = False
        # When to look, in the clock's seconds; 0 never.
        self._ping_at = 0.0
        self._pong_by = 0.0
        self._message_by = 0.0
        self._close_by = 0.0
        # The message that is not complete: since when, how much of it, and when some of it came last.
        self._began = 0.0
        self._arrived = 0
        self._last_arrival = 0.0

    # Told by the conversation

    def open(self, subprotocol: str | None, fields: Fields) -> None:
        channel, site = self._channel, self.site
        assert channel is not None
        limits = site.options.websocket
        own, deflate = answer(self._offer, subprotocol, limits, self._memory.is_crowded())
        self._wire = WebSocketConnection(limits, deflate)
        # What the handshake's exchange becomes does not matter any more.
        self.duplex.request.answerer = None
        self.carrier = channel.upgrade(self.duplex.response.witnessed(own + fields, b""), Voice(self))
        self._offer = self._channel = None
        self._memory.sockets += 1
        ping_s = site.timeouts.websocket_ping_s
        if ping_s:
            self._ping_at = self.clock.now + ping_s
            self._arm()

    def send(self, data: Any) -> None:
        wire, carrier = self._wire, self.carrier
        size = len(data)
        if size < _LARGE_BYTES:
            frame = wire.text(data) if type(data) is str else wire.binary(data)
            self.duplex.response.sent += size
            carrier.post(frame)
        else:
            head, payload = wire.parts(data)
            self.duplex.response.sent += size
            carrier.write(head, payload)

    def close(self, code: int, reason: str) -> None:
        """Say it; what is still to come is the peer's close frame, for which there is a time."""
        if self._is_over:
            return
        self.carrier.post(self._wire.close(code, reason))
        close_s = self.site.timeouts.websocket_close_s
        self._close_by = self.clock.now + close_s if close_s else 0.0
        self._arm()
        self._read_on()

    def want_messages(self) -> None:
        if self._left_of_turn > 0:
            self._read_on()
        elif not self._is_over:
            self.carrier.come_back()

    def is_full(self) -> bool:
        return self.carrier.is_full()

    def ended(self) -> None:
        """The application has ended; whatever it left open is closed."""
        self.has_ended = True
        duplex, channel = self.duplex, self._channel
        if duplex.state == OPEN:
            duplex.close(INTERNAL_ERROR, "")
        duplex.answerer = None
        if channel is not None:
            if not duplex.response.is_over():
                # Nobody answered the handshake, and nobody will.
                duplex.response.abort()
            channel.ended()
        else:
            self.carrier.settled()

    # Told by the carrier

    def received(self, data: bytes) -> None:
        wire, now = self._wire, self.clock.now
        self._is_heard = True
        self._left_of_turn = _MOST_A_TURN
        wire.receive(data, now)
        if self._began:
            self._arrived += len(data)
            self._last_arrival = now
        self._hand_on()

    def go_on(self) -> None:
        """It is this one's turn again."""
        self._left_of_turn = _MOST_A_TURN
        if not self.duplex.is_full():
            self._read_on()

    def drained(self) -> None:
        if not self._is_over and self._wire.has_output():
            self._put_out()
        answerer = self.duplex.answerer
        if answerer is not None:
            answerer.drained()

    def lost(self) -> None:
        self.finish(ABNORMAL, "")

    def expired(self, now: float) -> None:
        if self._is_shed:
            self._fail(_TRY_LATER, "", _TRY_LATER)
            return
        if self._close_by:
            # Our close frame was not answered in time.
            self._end()
            return
        if self._message_by and now >= self._message_by and not self._look_at_message(now):
            return
        if self._is_heard or self._is_paused or self.is_starved:
            # While we do not read, a pong may lie behind what we have not read.
            self._is_heard = False
            self._pong_by = 0.0
        if self._pong_by and now >= self._pong_by:
            self._note("websocket: no pong", "ws_ping_timeout")
            self._fail(INTERNAL_ERROR, "no pong", ABNORMAL)
            return
        if self._ping_at and now >= self._ping_at:
            times = self.site.timeouts
            self._ping_at = now + times.websocket_ping_s
            if not self._pong_by and times.websocket_pong_s:
                self._pong_by = now + times.websocket_pong_s
            ping = self._wire.ping(b"")
            if ping:
                self.carrier.post(ping)
        self._arm()

    def stop(self) -> None:
        """First to the peer, and with it to the application; then to the application again, until it is cancelled."""
        duplex = self.duplex
        if duplex.state == OPEN:
            self.close(_RESTART, "")
            duplex.lose(_RESTART, "")
        else:
            answerer = duplex.answerer
            if answerer is not None:
                answerer.stop()

    # Told by the worker's account of memory: see ``memory.Holder``

    def holding(self) -> int:
        held = self._wire.held() + self.duplex.buffered
        return held if held >= _LIGHT_BYTES else 0

    def moved(self) -> int:
        return self._arrived

    def shed(self) -> bool:
        if self._is_over or self._is_shed:
            return False
        self._is_shed = True
        self._note(TOO_MUCH, "limit_memory")
        # Not at once: the application hears of it, and somebody else may be in the midst of something.
        self._arm()
        return True

    def feed(self) -> bool:
        """There may be room again; False when that is not what is waited for any more."""
        if not self.is_starved:
            return False
        self.is_starved = False
        if not self._is_paused:
            self.carrier.set_reading(True)
        return True

    # From the wire to the conversation

    def _hand_on(self) -> None:
        """All that the wire has, as long as the application takes it."""
        if self._is_handing_on or self._is_over:
            return
        self._is_handing_on = True
        duplex, wire = self.duplex, self._wire
        try:
            while True:
                event = wire.next()
                kind = type(event)
                if kind is str or kind is bytes:
                    self._began = 0.0
                    duplex.push(event)
                    self._left_of_turn -= 1
                    if duplex.state == OPEN and (self._left_of_turn <= 0 or duplex.is_full()):
                        self._is_paused = True
                        self.carrier.set_reading(False)
                        if self._left_of_turn <= 0:
                            self.carrier.come_back()
                        break
                elif event is NEED_DATA:
                    if self._is_paused:
                        self._resume()
                    break
                elif kind is Closed:
                    self._close_received(event)
                    return
                elif event is BUSY:
                    self._is_paused = True
                    self._left_of_turn = 0
                    self.carrier.set_reading(False)
                    self.carrier.come_back()
                    break
                elif event is not PONG:
                    # Over, and nothing more to be had.
                    return
        finally:
            self._is_handing_on = False
        if wire.has_output():
            self._put_out()
        self._follow()

    def _put_out(self) -> None:
        """Answer pings; a peer that does not take what it was sent already gets the last answer only, later."""
        if not self.carrier.is_full():
            self.carrier.post(self._wire.take_output())

    def _follow(self) -> None:
        """Keep account of a message that is not complete."""
        wire = self._wire
        held = wire.held()
        if held == 0:
            self._began = 0.0
        elif self._began == 0.0 and not self._is_paused:
            self._began = self._last_arrival = self.clock.now
            self._arrived = held
            if self._message_by == 0.0:
                # The first look; how long it may take is found out then.
                times = self.site.timeouts
                wait_s = min(times.body_idle_s or times.body_grace_s, times.body_grace_s)
                if wait_s:
                    self._message_by = self._began + wait_s
                    self._arm()
        held += self.duplex.buffered
        share = self._share
        if held >= _LIGHT_BYTES or share is not None:
            memory = self._memory
            self._share = memory.weigh(share, self, held if held >= _LIGHT_BYTES else 0)
            if self._began == 0.0:
                memory.done(self)
            elif memory.is_tight and held >= _LIGHT_BYTES and not self._is_paused and not self.is_starved:
                if not memory.may_grow(self):
                    self.is_starved = True
                    self.carrier.set_reading(False)

    def _read_on(self) -> None:
        if self._is_over:
            return
        if self._is_paused:
            self._hand_on()
            if self._is_paused and self.duplex.state == CLOSED:
                # Nobody wants messages any more, but the close frame behind them.
                self._resume()

    def _resume(self) -> None:
        self._is_paused = False
        self._is_heard = True
        # The pace of a message is measured only while its client is the one to wait for.
        self._began = 0.0
        if not self.is_starved:
            self.carrier.set_reading(True)

    def _look_at_message(self, now: float) -> bool:
        """Whether the message that is not complete comes fast enough (threat G-060); if not, it was the last."""
        self._message_by = 0.0
        if self._began == 0.0 or self._is_paused:
            return True
        times = self.site.timeouts
        self._message_by = timeouts.body_deadline(times, self._began, self._last_arrival, self._arrived)
        memory = self._memory
        is_in_the_way = memory.favoured is self and memory.has_starved()
        if (self._message_by == 0.0 or now < self._message_by) and not is_in_the_way:
            return True
        if self.is_starved or is_in_the_way:
            self._note("websocket: messages of all connections too large together", "limit_memory")
            self._fail(_TRY_LATER, "", _TRY_LATER)
        else:
            self._note("websocket: message too slow", "timeout_body")
            self._fail(_POLICY, "message too slow", _POLICY)
        return False

    # The end

    def _close_received(self, event: Closed) -> None:
        """The peer's close frame, ours being its answer or the other way round; or a failure, which ends it too."""
        if event.is_failure:
            self._note("websocket: " + event.reason, event.setting)
        output = self._wire.take_output()
        if output:
            self.carrier.post(output)
        self.finish(event.code, event.reason)

    def _fail(self, code: int, reason: str, told: int) -> None:
        """Close without waiting for an answer; the application hears the code ``told``."""
        if self.duplex.state == OPEN:
            self.carrier.post(self._wire.close(code, reason))
        self.finish(told, reason if told == code else "")

    def finish(self, code: int, reason: str) -> None:
        """The conversation is over, and so is the stream."""
        self.duplex.lose(code, reason)
        self._end()

    def _end(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        memory = self._memory
        memory.sockets -= 1
        self.is_starved = False
        share, self._share = self._share, None
        if share is not None:
            memory.drop(share)
        memory.done(self)
        # Not when the garbage collector comes by: it may be a whole message.
        self._wire.abandon()
        self.carrier.finish()

    def _note(self, reason: str, setting: str) -> None:
        client = self.duplex.request.endpoints.client
        self.site.refusals.note(reason, setting, client, self.clock.now)

    def _arm(self) -> None:
        """Have the carrier look at the earliest of our times."""
        if self._is_shed:
            self.carrier.set_deadline(self.clock.now)
            return
        if self._close_by:
            self.carrier.set_deadline(self._close_by)
            return
        at = self._ping_at
        if self._pong_by and (at == 0.0 or self._pong_by < at):
            at = self._pong_by
        if self._message_by and (at == 0.0 or self._message_by < at):
            at = self._message_by
        self.carrier.set_deadline(at)


class Voice(Speaker):
    """The part of a WebSocket that its carrier speaks to."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    def received(self, data: bytes) -> None:
        self._socket.received(data)

    def drained(self) -> None:
        self._socket.drained()

    def expired(self, now: float) -> None:
        self._socket.expired(now)

    def go_on(self) -> None:
        self._socket.go_on()

    def lost(self) -> None:
        self._socket.lost()

    def stop(self) -> None:
        self._socket.stop()

    def is_over(self) -> bool:
        return self._socket.has_ended
