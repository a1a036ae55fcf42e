"""What the streams of one HTTP/2 connection share: the wire, the transport, and when what they say is sent.

The lowest of the three storeys of a connection: this one, ``ending`` (time and farewells), ``connection`` (what is
read). The wire belongs to the loop's thread alone; a stream that is lent to another leaves word by ``post``.
Never here: streams themselves, events.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from torana.base.endpoints import Endpoints
from torana.net.poller import Watched
from torana.net.transport import Transport
from torana.serve.memory import FLOOR, TOO_MUCH, Share
from torana.serve.phases import CLOSING, FRESH, OVER
from torana.serve.site import Site
from torana.wire.http2.connection import Http2Connection as Wire

#: Body data taken from the wire for one call of the system.
_OUTPUT_BYTES = 64 * 1024
#: Such calls in a row, before others get their turn.
_ROUNDS = 16
#: Nothing is kept back for longer than this while anybody gets to look (``base/burst``).
_MOST_S = 0.001


class Session(Watched):
    """A connection as its streams see it. It is watched for nothing, but can be woken, and asked to ``leave``."""

    def __init__(self, transport: Transport, site: Site, endpoints: Endpoints, crowd: Any) -> None:
        Watched.__init__(self, -1)
        self.transport = transport
        self.site = site
        self.endpoints = endpoints
        #: Told when the connection is over: ``crowd.left(connection)``.
        self.crowd = crowd
        self.clock = transport.clock
        self.poller = transport.poller
        limits = site.limits
        self.wire = Wire(
            site.http2_limits, limits.head_bytes, limits.field_bytes, limits.field_count, limits.trailer_bytes,
            site.gateway.takes_conversations() or site.gateway.takes_tunnels(),
        )  # fmt: skip
        #: Open streams by number, until nothing is left of them: neither an answer to make nor one to send.
        self.streams: dict[int, Any] = {}
        #: FRESH while all goes on, then CLOSING and the phases after it.
        self.phase = FRESH
        #: Accepted beyond the cap: its requests are answered 503.
        self.is_surplus = False
        #: A batch of events is being worked off; what it has to send leaves at its end.
        self.is_busy = False
        self._is_flushing = False
        self._is_kept = False
        self._kept_since = 0.0
        self._kept_count = 0
        self._posted: deque[Any] = deque()
        self._is_woken = False
        #: What the worker's memory counts of us, and of that what is kept for those who answer.
        self._share: Share | None = None
        self.kept = 0
        #: Not read because all clients together have too much here.
        self.is_starved = False

    # Sending

    def schedule(self) -> None:
        """Something small waits in the wire: send it, under load together with what follows soon."""
        if self.is_busy:
            return
        if self._is_kept:
            # The clock is not looked at for each: what a few answers take is no time.
            self._kept_count += 1
            if self._kept_count & 7 == 0 and time.monotonic() - self._kept_since >= _MOST_S:
                self.flush()
        elif self.poller.keeps(self):
            self._is_kept = True
            self._kept_count = 0
            self._kept_since = time.monotonic()
        else:
            self.flush()

    def leave(self) -> None:
        if self._is_kept:
            self.flush()

    def flush(self) -> None:
        """Send what can be sent: as much as the client's windows and the socket take."""
        transport, wire = self.transport, self.wire
        self._is_kept = False
        if self._is_flushing or self.is_busy or transport.is_closed:
            return
        self._is_flushing = True
        rounds = _ROUNDS
        try:
            while not transport.is_full():
                data = wire.output(_OUTPUT_BYTES)
                if not data:
                    break
                transport.write(data)
                if wire.has_events:
                    self._take_events()
                rounds -= 1
                if rounds == 0:
                    # A fast reader of much must not have the loop to itself.
                    self.poller.later(self)
                    break
        finally:
            self._is_flushing = False
        self._flushed()

    # Word from other threads

    def post(self, stream: Any) -> None:
        """Have ``stream.replay()`` called on the loop's thread; safe from any thread."""
        self._posted.append(stream)
        if not self._is_woken:
            self._is_woken = True
            self.poller.wake(self)

    def post_last(self, stream: Any) -> None:
        """As ``post``, from the loop's own thread, for what takes long."""
        self._posted.append(stream)
        self.poller.last(self)

    def woken(self) -> None:
        # Before the look at what there is: whoever posts after it wakes us again.
        self._is_woken = False
        posted = self._posted
        self.is_busy = True
        try:
            # Whoever posts meanwhile has woken us again, for a later turn.
            for _ in range(len(posted)):
                stream = posted.popleft()
                stream.replay()
        finally:
            self.is_busy = False
        if self.transport.is_lost():
            self.lost()
        else:
            self.flush()

    # Told by the worker's memory: see ``memory.Holder``

    def holding(self) -> int:
        return self.transport.held() + self.wire.held() + self.kept

    def moved(self) -> int:
        transport = self.transport
        return self.wire.moved - transport.waiting - transport.outgoing()

    def feed(self) -> bool:
        if not self.is_starved:
            return False
        self.is_starved = False
        if self.phase < CLOSING and not self.wire.is_choked:
            self.transport.set_reading(True)
        return True

    def shed(self) -> bool:
        if self.phase == OVER:
            return False
        self.site.refusals.note(TOO_MUCH, "limit_memory", self.endpoints.client, self.clock.now)
        self.transport.lose_soon()
        return True

    def weigh(self) -> None:
        """Have what is held for this client counted; when it is too much with that of all others, read no more."""
        if self.phase == OVER:
            return
        memory = self.site.memory
        share = self._share = memory.weigh(self._share, self, self.holding())
        self.wire.is_generous = not memory.is_tight
        if share is None or (not self.is_starved and not memory.is_tight):
            if self.is_starved:
                self.feed()
            return
        arriving = self.wire.unread() + self.wire.buffered
        if arriving < FLOOR:
            # It is not what it receives, and what was received is on its way.
            self.feed()
            memory.done(self)
        elif memory.is_tight and not self.is_starved and self.phase < CLOSING and not memory.may_grow(self):
            self.is_starved = True
            self.transport.set_reading(False)

    def unburden(self) -> None:
        """Nothing is held any more."""
        share, self._share = self._share, None
        self.is_starved = False
        if share is not None:
            self.site.memory.drop(share)

    # What the storeys above do

    def emptied(self) -> None:
        """The last stream is gone."""
        raise NotImplementedError

    def opened(self) -> None:
        """A stream has begun that has to be looked at from time to time."""
        raise NotImplementedError

    def lost(self) -> None:
        """The connection is dead: everybody is told, nothing is sent."""
        raise NotImplementedError

    def _take_events(self) -> None:
        raise NotImplementedError

    def _flushed(self) -> None:
        raise NotImplementedError
