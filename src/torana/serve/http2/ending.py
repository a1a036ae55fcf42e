"""How long an HTTP/2 connection may take for what, how it says goodbye, and what the crowd asks of it.

The middle storey of a connection (see ``session``). The goodbye has two steps (RFC 9113 section 6.8): please open no
more streams; and, when whatever crossed that word has arrived, the last one that is served. Never here: reading, what
a stream is.
"""

from __future__ import annotations

import time
from typing import Any

from torana.base.endpoints import Endpoints
from torana.net.transport import Transport
from torana.serve import timeouts
from torana.serve.http2.session import Session
from torana.serve.memory import FLOOR
from torana.serve.phases import CLOSING, LINGER, OVER
from torana.serve.site import Site
from torana.wire.events import WireError
from torana.wire.http2.errors import ENHANCE_YOUR_CALM, SETTINGS_TIMEOUT

#: From the first step of the goodbye to the second, unless the client shows earlier that it has read the first.
_FAREWELL_S = 0.5
#: How long a client may take to answer a PING of ours.
_PONG_S = 20.0
#: A header block and its frames are never longer.
_MOST_HEAD_BYTES = 128 * 1024
#: Younger connections are not closed for want of a request: it may be on its way.
_FRESH_S = 1.0

#: The goodbye: not begun, first step, second step.
_STAYING = 0
_LEAVING = 1
_LAST = 2


class Ending(Session):
    """Everything about a connection that has to do with time, and everything that can end it."""

    def __init__(self, transport: Transport, site: Site, endpoints: Endpoints, crowd: Any) -> None:
        Session.__init__(self, transport, site, endpoints, crowd)
        now = self.clock.now
        self._since = now
        self._last_arrival = now
        #: When the last stream left; the connection is idle if there is none.
        self._idle_since = now
        self._received_bytes = 0
        #: A frame or a header block is incomplete since then; how much had been received.
        self._partial_since = 0.0
        self._partial_at = 0
        self._pinged_at = 0.0
        self._farewell = _STAYING
        self._farewell_at = 0.0
        #: The PING under way was sent behind the first step of the goodbye.
        self._is_farewell_pinged = False
        self._has_peer_closed = False
        self._discarded = 0
        self._linger_until = 0.0
        transport.owner = self
        self._arm()

    # Time

    def opened(self) -> None:
        # While there are streams, all of them are looked at once a tick.
        transport = self.transport
        at = self.clock.now + self.poller.tick_s
        if transport.deadline == 0.0 or transport.deadline > at:
            transport.deadline = at

    def emptied(self) -> None:
        self._idle_since = self.clock.now
        if self._farewell == _LAST or self.wire.has_goaway or self._has_peer_closed:
            self._close_when_idle()

    def expired(self, now: float) -> None:
        transport = self.transport
        if timeouts.takes_too_slowly(self.site.timeouts, transport, now):
            self._note("client takes the response too slowly", "timeout_write")
            self.lost()
            return
        if self.phase >= CLOSING:
            if self._linger_until and now >= self._linger_until:
                self._leave()
            else:
                self._arm()
            return
        self.wire.tick(now)
        self._look_at_streams(now)
        self._look_at_client(now)
        if self.phase < CLOSING:
            self._go_on_leaving(now)
            self.flush()
            self._arm()

    def _look_at_streams(self, now: float) -> None:
        transport = self.transport
        # What is not sent waits for the client's windows only if neither the socket nor we hold it up.
        is_stalled = transport.waiting == 0 and not self.wire.has_output()
        # What is not received may be so because of other streams, or of our own tardiness.
        incoming = self.wire.incoming
        is_patient = incoming.taken * 2 >= incoming.size or transport.has_unread()
        streams = list(self.streams.values())
        self.is_busy = True
        try:
            for stream in streams:
                stream.look(now, is_stalled, is_patient)
        finally:
            self.is_busy = False

    def _look_at_client(self, now: float) -> None:
        if self._has_peer_closed:
            # Nothing is to be expected of it.
            return
        times = self.site.timeouts
        if not self.wire.is_settled and times.http2_settings_s and now - self._since >= times.http2_settings_s:
            self._note("SETTINGS not acknowledged", "timeout_http2_settings")
            self.wire.fail(SETTINGS_TIMEOUT)
            self._close_politely()
            return
        if self._is_head_too_slow(now):
            self._note("request head too slow", "timeout_head")
            self.wire.fail(ENHANCE_YOUR_CALM)
            self._close_politely()
            return
        if self._pinged_at and self._last_arrival > self._pinged_at:
            self._pinged_at = 0.0
        if self.is_starved:
            # It is we who do not listen.
            self._pinged_at = 0.0
        elif self.wire.is_narrow() and not self.site.memory.is_tight:
            self.wire.widen()
        if self._pinged_at and now - self._pinged_at >= _PONG_S:
            self._note("client is silent", "timeout_http2_ping")
            self.lost()
            return
        if times.http2_ping_s and not self._pinged_at and now - self._last_arrival >= times.http2_ping_s:
            if not self.transport.waiting and self.transport.is_reading:
                self._pinged_at = now
                self.wire.ping()
        if not self.streams and times.http2_idle_s and now - self._idle_since >= times.http2_idle_s:
            self.begin_to_leave()

    def _is_head_too_slow(self, now: float) -> bool:
        """Whether one frame or header block has been incomplete for too long."""
        wire = self.wire
        since = self._received_bytes - self._partial_at
        if not wire.buffered and not wire.is_in_head:
            self._partial_since = 0.0
        elif self._partial_since == 0.0 or since > _MOST_HEAD_BYTES:
            # So much has come meanwhile that it must be another one.
            self._partial_since = now
            self._partial_at = self._received_bytes
        else:
            deadline = timeouts.head_deadline(self.site.timeouts, self._partial_since, since)
            return deadline > 0.0 and now >= deadline and not self.transport.has_unread()
        return False

    def _arm(self) -> None:
        """Set the transport's one deadline."""
        transport, times = self.transport, self.site.timeouts
        now = self.clock.now
        if transport.is_closed:
            return
        if self.phase >= CLOSING:
            deadline = self._linger_until
        elif self.streams or self._partial_since or self._farewell == _LEAVING or self.wire.retry_at:
            deadline = now + self.poller.tick_s
        else:
            deadline = self._idle_since + times.http2_idle_s if times.http2_idle_s and not self._farewell else 0.0
            if times.http2_ping_s:
                ping_at = self._pinged_at + _PONG_S if self._pinged_at else self._last_arrival + times.http2_ping_s
                # Not earlier than a tick from now: a client that does not read is not asked, and waited for.
                ping_at = max(ping_at, now + self.poller.tick_s)
                deadline = min(deadline, ping_at) if deadline else ping_at
            if not self.wire.is_settled and times.http2_settings_s:
                settings_at = self._since + times.http2_settings_s
                deadline = min(deadline, settings_at) if deadline else settings_at
        if transport.waiting:
            deadline = timeouts.with_write(times, deadline, transport.looked_at)
        transport.deadline = deadline

    def _flushed(self) -> None:
        transport = self.transport
        if transport.is_closed:
            return
        if self._share is not None or self.wire.held() + transport.waiting >= FLOOR:
            self.weigh()
        if self.phase >= CLOSING:
            if self.phase == CLOSING and not transport.waiting and not self.wire.has_output():
                self._linger()
            return
        is_heard = not self.wire.is_choked and not self.is_starved and not self._has_peer_closed
        if transport.is_reading != is_heard:
            # Whoever asks and does not read the answers is not listened to.
            transport.set_reading(is_heard)
        if transport.waiting:
            self._arm()
        elif self._has_peer_closed:
            self._give_up_the_rest()
        elif not self.streams and (self._farewell == _LAST or self.wire.has_goaway):
            self._close_when_idle()

    def _give_up_the_rest(self) -> None:
        """After FIN no window is opened any more: what waits for one is never sent."""
        wire = self.wire
        if wire.has_output() or wire.retry_at or self.is_busy:
            return
        self.is_busy = True
        try:
            for stream in list(self.streams.values()):
                if stream.state.waiting:
                    stream.give_up()
        finally:
            self.is_busy = False
        if wire.has_output():
            self.flush()
        else:
            self._close_when_idle()

    # The goodbye

    def begin_to_leave(self) -> None:
        """First step: the client shall open no more streams here."""
        if self._farewell == _STAYING and self.phase < CLOSING:
            self._farewell = _LEAVING
            self._farewell_at = time.monotonic()
            self.wire.shut_down()
            self._is_farewell_pinged = self._pinged_at == 0.0
            if self._is_farewell_pinged:
                self._pinged_at = self._farewell_at
                self.wire.ping()
            self.flush()
            self._arm()

    def _ponged(self) -> None:
        """The client has answered our PING."""
        self._pinged_at = 0.0
        if self._farewell == _LEAVING and self._is_farewell_pinged:
            self._say_the_last()

    def _go_on_leaving(self, now: float) -> None:
        if self._farewell == _LEAVING and now - self._farewell_at >= _FAREWELL_S:
            self._say_the_last()

    def _say_the_last(self) -> None:
        """Second step: these are the streams that are served; what comes after is refused, and safe to try again."""
        self._farewell = _LAST
        self.wire.go_away()
        self.flush()
        self._close_when_idle()

    def _close_when_idle(self) -> None:
        if self.phase < CLOSING and not self.streams and not self.is_busy and self.wire.is_idle():
            self._close_politely()

    def _close_politely(self) -> None:
        """Close after the last byte is written, without a reset that would destroy it."""
        self.phase = CLOSING
        self._lose_streams()
        self.transport.set_reading(True)
        self.flush()
        self._arm()

    def _linger(self) -> None:
        linger_s = self.site.timeouts.linger_s
        if not linger_s or self._has_peer_closed:
            self._leave()
            return
        self.phase = LINGER
        self._linger_until = self.clock.now + linger_s
        self.transport.shutdown_write()
        self._arm()

    def _throw_away(self, size: int) -> None:
        self._discarded += size
        if self._discarded > self.site.linger_bytes:
            # Enough; but closing with more unread would reset the connection before the client has read our last word.
            self.transport.set_reading(False)

    def lost(self) -> None:
        if self.phase != OVER:
            self._lose_streams()
            self._leave()

    def failed(self) -> None:
        self.lost()

    def _lose_streams(self) -> None:
        self.is_busy = True
        try:
            for stream in list(self.streams.values()):
                stream.lost()
                stream.settle()
        finally:
            self.is_busy = False

    def _leave(self) -> None:
        if self.phase != OVER:
            self.phase = OVER
            self.transport.close()
            self.unburden()
            self.crowd.left(self)

    def _failed_by_client(self, error: WireError) -> None:
        """The client broke the protocol: GOAWAY, which is in the output, is the last that it hears."""
        self._note(error.reason, error.setting)
        self._close_politely()

    # What the crowd asks of its members

    def waiting_since(self, has_heads: bool) -> float:
        if self.streams or self.phase >= CLOSING or self.transport.waiting:
            return 0.0
        if self.wire.last_id == 0 and self.clock.now - self._since < _FRESH_S:
            return 0.0
        return self._idle_since

    def evict(self) -> None:
        """Close to make room for others, when ``waiting_since`` allows it."""
        if not self.transport.has_unread():
            self.wire.go_away()
            self.flush()
            self._leave()

    def close_if_idle(self, before: float) -> bool:
        """The server stops or retires: say so, and once the client has had time to hear it, leave when all is done."""
        if self.phase >= CLOSING:
            return False
        if self._farewell == _STAYING:
            self.begin_to_leave()
        for stream in list(self.streams.values()):
            stream.retire()
        self._go_on_leaving(time.monotonic())
        return self.phase == OVER

    def doing(self) -> list[tuple[bool, str]]:
        """Why it is still open, for the log: see ``admission.Member``."""
        streams = [stream.doing() for stream in self.streams.values()]
        return streams or [(False, "connections about to close")]

    def stop(self) -> None:
        """The time for running requests is spent: tell the applications."""
        if self.phase >= CLOSING:
            self._leave()
            return
        self.begin_to_leave()
        if self._farewell == _LEAVING:
            self._say_the_last()
        for stream in list(self.streams.values()):
            stream.stop()

    def kill(self) -> None:
        """End now, whatever runs."""
        self.lost()

    def forsake(self) -> None:
        """In a forked child: close the copy of the socket, which is the parent's, and tell nobody."""
        self.transport.sock.close()

    def _note(self, reason: str, setting: str) -> None:
        self.site.refusals.note(reason, setting, self.endpoints.client, self.clock.now)
