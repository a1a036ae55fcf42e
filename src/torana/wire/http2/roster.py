"""Which streams there are and were, what their data occupies of our windows, what waits to be told and to be sent.

The lowest storey of a connection (``connection`` is the roof; ``outbound``, ``control``, ``bodies`` and ``inbound``
lie between).
Never here: frames of the client, answers. RFC 9113 sections 5.1 and 5.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torana.wire.http2.budgets import RESET_FORGIVEN_S, SMALL_BURST, SMALL_RATE, Bucket
from torana.wire.http2.errors import NO_ERROR, calm
from torana.wire.http2.events import reset as reset_event
from torana.wire.http2.frames import reset_frame, update_frame
from torana.wire.http2.states import (
    CLOSED,
    FORGOTTEN,
    IDLE,
    LOCAL_DONE,
    RESET_BY_US,
    is_dead,
    is_receiving,
)
from torana.wire.http2.windows import new_window

if TYPE_CHECKING:
    from torana.wire.http2.events import StreamEvent
    from torana.wire.http2.limits import Limits
    from torana.wire.http2.streams import StreamState

#: So many closed streams are remembered with how they ended; about as many as may be open at once.
_PAST = 128
#: Replies (to PING, SETTINGS, mistakes) that may wait before reading should pause (threat G-047).
_MOST_REPLIES = 64 * 1024
#: Bodies that nobody reads may hold so many of one connection's windows beyond the first, before other streams wait.
_MOST_AHEAD = 7


class Roster:
    """The streams of one connection and what is common to them."""

    def __init__(self, limits: Limits) -> None:
        self.is_choked = False
        self.has_events = False
        self.running = 0
        self.last_id = 0
        self._most_running = limits.streams
        self._streams: dict[int, StreamState] = {}
        #: Number and last state of closed streams, in a ring.
        self._past = [0] * _PAST
        #: Streams that are only waited for to end what nobody reads.
        self._lingering = 0
        self._events: list[StreamEvent] = []
        self._out: list[Any] = []
        self._out_bytes = 0
        #: Body data of all streams that wait to be sent.
        self._waiting = 0
        #: Bytes of bodies that have gone on their way, in or out.
        self.moved = 0
        self._replies = 0
        self._stream_window = limits.stream_window_bytes
        #: What the client may send on all streams together.
        self.incoming = new_window(limits.connection_window_bytes)
        #: Bytes given back on the connection, but not on their streams, before anybody has consumed them; may there be
        #: more of them?
        self._ahead = 0
        self.is_generous = True
        self._now = 0.0
        self._resets = Bucket(limits.resets, limits.resets / RESET_FORGIVEN_S)
        self._small = Bucket(SMALL_BURST, SMALL_RATE)

    def _post(self, event: StreamEvent) -> int:
        """Have ``next`` give ``event``."""
        self._events.append(event)
        self.has_events = True
        return 0

    def _pop_event(self) -> StreamEvent:
        event = self._events.pop(0)
        self.has_events = len(self._events) > 0
        return event

    def _reply(self, frame: bytes) -> int:
        """Send a frame that the client made necessary."""
        self._out.append(frame)
        self._out_bytes += len(frame)
        self._replies += len(frame)
        if self._replies > _MOST_REPLIES:
            self.is_choked = True
        return 0

    # Streams

    def _state_of(self, number: int) -> int:
        """State of a stream that is not live."""
        if number > self.last_id or not number & 1:
            return IDLE
        past = self._past[(number >> 1) & (_PAST - 1)]
        return past & 7 if past >> 3 == number else FORGOTTEN

    def _remember(self, number: int, state: int) -> int:
        """Note how a stream ended, for the frames of it that are still under way."""
        past = number
        self._past[(number >> 1) & (_PAST - 1)] = past << 3 | state
        return 0

    def _close(self, stream: StreamState, state: int) -> int:
        """Let a live stream be over in ``state``."""
        if stream.state == LOCAL_DONE and stream.is_finished:
            self._lingering -= 1
        stream.state = state
        del self._streams[stream.id]
        self._remember(stream.id, state)
        self._waiting -= stream.waiting
        stream.drop()
        if stream.incoming is not None:
            # What was not consumed will not be: the other streams need the room (threat G-050).
            self._release(stream, stream.incoming.surrender())
            stream.incoming = None
        if stream.has_slot and (state == CLOSED or stream.is_finished):
            # A request that was cut keeps its slot until its application has noticed (threats G-039, G-040).
            stream.has_slot = False
            self.running -= 1
        return 0

    def _cut(self, stream: StreamState, code: int) -> int:
        """RST_STREAM for a live stream."""
        self._reply(reset_frame(stream.id, code))
        self._close(stream, RESET_BY_US)
        return 0

    def _fault(self, stream: StreamState, code: int, reason: str, setting: str) -> int:
        """A stream error on a live stream: RST_STREAM, and Reset for whoever answers."""
        self._spend_reset()
        self._cut(stream, code)
        if not stream.is_finished or not stream.is_sent:
            self._post(reset_event(stream, code, True, reason, setting))
        return 0

    def _spend_reset(self) -> int:
        """One stream more was reset, or refused for its mistakes (threats G-039, G-040)."""
        if not self._resets.take(self._now, 1.0):
            raise calm("resets", "limit_http2_resets")
        return 0

    def finished(self, stream: StreamState) -> None:
        """See ``Http2Connection``."""
        if stream.is_finished:
            return
        stream.is_finished = True
        if is_dead(stream.state):
            if stream.has_slot:
                stream.has_slot = False
                self.running -= 1
        elif stream.state == LOCAL_DONE:
            self._linger(stream)

    def _linger(self, stream: StreamState) -> int:
        """The answer is out, nobody reads the request: drop what the client was allowed to send, then cut it off.

        RST_STREAM at once would be as legal (section 8.1), but clients that are nearly done take it for a failure.
        """
        self._lingering += 1
        left = self._stream_window
        if stream.incoming is not None:
            self._release(stream, stream.incoming.surrender())
            left = stream.incoming.left
        if left <= 0 or stream.declared - stream.received > left:
            self._cut(stream, NO_ERROR)
        return 0

    # Windows of ours

    def acknowledge(self, stream: StreamState, size: int) -> None:
        """See ``Http2Connection``."""
        window = stream.incoming
        if window is None:
            return  # given back when the stream was closed
        if stream.small:
            self._small.give(stream.small)
            stream.small = 0.0
        if size > window.taken:
            size = window.taken
        self._release(stream, size)
        self._give_back(stream, size)

    def unread(self) -> int:
        """Bytes of bodies that were received and not consumed."""
        taken: int = self.incoming.taken
        return taken + self._ahead

    def _advance_window(self, stream: StreamState, size: int) -> int:
        """Give ``size`` bytes back on the connection before they are consumed: it is for their own stream to wait.

        Without this, a few uploads that nobody reads would hold up all others of the connection (threat G-050).
        """
        if self.is_generous and self._ahead + size <= _MOST_AHEAD * self.incoming.size:
            stream.ahead += size
            self._ahead += size
            self._refund(size)
            self.moved -= size
        return 0

    def _release(self, stream: StreamState, size: int) -> int:
        """``size`` bytes of ``stream`` are consumed, or will never be: give back what was not given back before."""
        ahead = stream.ahead
        if ahead > 0:
            if ahead > size:
                ahead = size
            stream.ahead -= ahead
            self._ahead -= ahead
            self.moved += ahead
            size -= ahead
        if size > 0:
            self._refund(size)
        return 0

    def _give_back(self, stream: StreamState, size: int) -> int:
        """Let the client send ``size`` bytes more on ``stream``, unless it has ended or is only waited for."""
        window = stream.incoming
        assert window is not None
        increment = window.give_back(size)
        if increment and is_receiving(stream.state) and not stream.is_finished:
            self._reply(update_frame(stream.id, increment))
        return 0

    def _refund(self, size: int) -> int:
        """Let the client send ``size`` bytes more on the connection."""
        self.moved += size
        increment = self.incoming.give_back(size)
        if increment:
            self._reply(update_frame(0, increment))
        return 0
