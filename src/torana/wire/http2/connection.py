"""One HTTP/2 connection, server side: bytes in, events out; answers by stream in, bytes out. RFC 9113.

The roof over five storeys: ``roster`` (streams), ``outbound`` (answers), ``control``, ``bodies`` and ``inbound``
(frames of the client). Whatever is sent waits in here until ``output`` takes it. Never here: sockets, time, what
answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torana.wire.events import CLOSED as CLOSED_MARK
from torana.wire.http2.control import PING_PAYLOAD
from torana.wire.http2.errors import NO_ERROR, Http2Error
from torana.wire.http2.frames import (
    ENABLE_CONNECT_PROTOCOL,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    MAX_HEADER_LIST_SIZE,
    NO_RFC7540_PRIORITIES,
    goaway_frame,
    ping_frame,
    settings_frame,
    update_frame,
)
from torana.wire.http2.inbound import Inbound
from torana.wire.http2.states import ENDED, RESET_BY_US
from torana.wire.http2.windows import FIRST_WINDOW, new_window

try:
    import cython
except ImportError:
    from torana.base import uncompiled as cython

if TYPE_CHECKING:
    from torana.wire.events import Mark
    from torana.wire.http2.events import StreamEvent
    from torana.wire.http2.limits import Limits

#: Stream number of a GOAWAY that only warns (section 6.8).
_HIGHEST_STREAM = 0x7FFF_FFFF


class Http2Connection(Inbound):
    """Server side of one connection. ``receive`` bytes, take events from ``next`` until it gives a mark.

    To be read by others, beside what is below:

    - ``is_settled``: the client has acknowledged our SETTINGS;
    - ``is_choked``: more replies wait than is good: read no more before ``output`` was taken (threat G-047);
    - ``has_events``: ``next`` has something to give (Drained, Sent: ask after ``output`` too);
    - ``running``: slots in use, by streams that live and by reset ones whose application has not ``finished``;
    - ``last_id``: highest stream that the client opened, 0 before;
    - ``has_goaway``: the client will not stay;
    - ``is_closing``: new streams are refused, after ``go_away`` or a connection error;
    - ``retry_at``: small pieces are held back until then (monotonic seconds, 0: none); then call ``tick``, ``output``;
    - ``incoming``: the connection's window for what the client sends;
    - ``unread()``: bytes of bodies that were received and not consumed; ``is_generous`` (to be set): they may be more
      than that window, though never more than eight of it;
    - ``head_size``: what the head of the last Opened occupies, 0 if it is one that came before;
    - ``moved``: bytes of bodies that have gone on their way so far, in or out.

    Sending, one storey below (``outbound``, ``roster``), by stream. On a stream that is over, all of it does nothing;
    ``LegalityError`` is a bug of the caller's:

    - ``send_head(stream, status, fields, length, data, is_end, date, defaults)``: the final head and the first body
      data. ``fields``: names in any case, those that HTTP/2 forbids are left out. ``length``: bytes of body in all; -1
      unknown, or a tunnel; -2 the message has no body: the stream's end goes with the head, and a later
      ``send_data(stream, b"", True)`` does nothing. ``data``: bytes-like. ``date``: a Date value, b"" for none; it and
      ``defaults`` (pairs with lower-case names) are added where ``fields`` lack their name. ``ValueError`` for what
      may not stand in a head; nothing is written then.
    - ``send_informational(stream, status, fields)``: a 1xx head, ahead of the final one.
    - ``send_data(stream, data, is_end)``: queue body data; ``bytes`` are not copied.
    - ``send_trailers(stream, fields)``: end the message with a trailer section, behind what is queued.
    - ``reset(stream, code)``: RST_STREAM (codes: ``errors``); what is queued is dropped, no event follows.
    - ``acknowledge(stream, size)``: so many bytes of Body events are consumed; the client may send as many again.
    - ``finished(stream)``: the application of an Opened stream has ended; to be called once, whatever became of the
      stream, a connection error included. After it come only Sent, or Reset while the answer is not all sent. What
      the client still sends of its request is dropped, and cut off with NO_ERROR when it is more than its window.
    """

    def __init__(
        self,
        limits: Limits,
        head_bytes: int,
        field_bytes: int,
        field_count: int,
        trailer_bytes: int,
        has_connect_protocol: bool,
    ) -> None:
        super().__init__(limits, head_bytes, field_bytes, field_count, trailer_bytes, has_connect_protocol)
        self._connection_window = limits.connection_window_bytes
        self._has_connect_protocol = has_connect_protocol

    @property
    def dropped(self) -> int:
        """Fields left out so far because of their name: "_" or "." in it, or "proxy"."""
        return self._heads.dropped

    @property
    def is_in_head(self) -> bool:
        """Whether a header block has begun and is not complete."""
        return self._block_stream != 0

    @property
    def buffered(self) -> int:
        """Bytes received and not read: less than a frame, once ``next`` gave NEED_DATA."""
        return self._reader.size()

    @property
    def window(self) -> int:
        """Bytes that the client lets us send on all streams together."""
        return self._window

    def held(self) -> int:
        """Bytes in here, and those of bodies that were received and not consumed."""
        held: int = self.incoming.taken + self._ahead + self._waiting + self._out_bytes + self._reader.size()
        return held + self._block_bytes if self._block_stream else held

    def begin(self, is_tight: bool = False) -> None:
        """Put our SETTINGS and the connection's WINDOW_UPDATE into the output; the client's preface is awaited.

        ``is_tight``: there is little memory; the connection's window stays as small as it may be until ``widen``.
        """
        if is_tight and self.incoming.size > FIRST_WINDOW:
            self.incoming = new_window(FIRST_WINDOW)
        values = [
            (MAX_CONCURRENT_STREAMS, self._most_running),
            (INITIAL_WINDOW_SIZE, self._stream_window),
            (MAX_HEADER_LIST_SIZE, self._head_bytes),
            (NO_RFC7540_PRIORITIES, 1),
        ]
        if self._has_connect_protocol:
            values.append((ENABLE_CONNECT_PROTOCOL, 1))
        self._send(settings_frame(values))
        if self.incoming.size > FIRST_WINDOW:
            self._send(update_frame(0, self.incoming.size - FIRST_WINDOW))

    def is_narrow(self) -> bool:
        """Whether the connection's window is smaller than it should be."""
        return self.incoming.size < self._connection_window

    def widen(self) -> None:
        """Let the connection's window be what it should."""
        more = self._connection_window - self.incoming.size
        if more > 0 and self._stage != ENDED:
            self.incoming.widen(more)
            self._send(update_frame(0, more))

    def receive(self, data: bytes, now: float) -> None:
        """Add received bytes (never empty); ``now`` in monotonic seconds."""
        self._now = now
        if self.retry_at and now >= self.retry_at:
            self._resume()
        if self._stage != ENDED:
            self._reader.add(data)

    def receive_eof(self) -> None:
        """The peer will send nothing more."""
        self._has_eof = True

    def tick(self, now: float) -> None:
        """Let time pass without bytes."""
        self._now = now
        if self.retry_at and now >= self.retry_at:
            self._resume()

    def next(self) -> StreamEvent | Mark:
        """The next event (``events``), or a mark: PINGED (``events``), NEED_DATA or CLOSED (``wire.events``).

        Raises ``Http2Error`` once for a connection error: GOAWAY is then in the output, all streams are dead without
        further events, and after that there is only CLOSED, as after the client's FIN.
        """
        if self.has_events:
            return self._pop_event()
        if self._stage == ENDED:
            return CLOSED_MARK
        try:
            return self._advance()
        except Http2Error as error:
            self.fail(error.code)
            raise

    def output(self, most: int) -> bytes:
        """What can be sent now: control frames and heads, and about ``most`` bytes of DATA; b"" when nothing can."""
        if self._mask:
            self._fill(most)
        parts = self._out
        if not parts:
            return b""
        self._out = []
        self._out_bytes = 0
        self._replies = 0
        self.is_choked = False
        if len(parts) == 1:
            frame: bytes = parts[0]
            return frame
        if cython.compiled:
            whole: bytes = joined(parts)
            return whole
        return b"".join(parts)

    def has_output(self) -> bool:
        """Whether ``output`` would give anything."""
        return self._out_bytes > 0 or (self._mask != 0 and self._window > 0 and not self._is_held)

    def is_idle(self) -> bool:
        """Whether nothing runs and nothing waits to be sent (what is only dropped does not count)."""
        return self.running == self._lingering and self._out_bytes == 0

    # The connection's end

    def shut_down(self) -> None:
        """Ask the client to open no more streams: GOAWAY with the highest number there is. Streams open as before."""
        if self._stage != ENDED:
            self._send(goaway_frame(_HIGHEST_STREAM, NO_ERROR))

    def go_away(self) -> None:
        """GOAWAY with the last stream that was opened: later ones get REFUSED_STREAM."""
        if not self.is_closing:
            self.is_closing = True
            self._send(goaway_frame(self.last_id, NO_ERROR))

    def fail(self, code: int) -> None:
        """GOAWAY with an error ``code``: all streams are dead, nothing more is parsed, ``next`` gives only CLOSED."""
        if self._stage == ENDED:
            return
        self._stage = ENDED
        self.is_closing = True
        for stream in list(self._streams.values()):
            self._close(stream, RESET_BY_US)
        self._mask = 0
        self._queues = [[] for _ in range(8)]
        self._held = []
        self.retry_at = 0.0
        self._events.clear()
        self.has_events = False
        self._reader.clear()
        self._block = []
        self._send(goaway_frame(self.last_id, code))

    def ping(self) -> None:
        """Send a PING; ``next`` gives PINGED when it is acknowledged. At most one is under way."""
        if not self._is_pinging and self._stage != ENDED:
            self._is_pinging = True
            self._send(ping_frame(PING_PAYLOAD, False))

    def _send(self, frame: bytes) -> int:
        """Send a frame of our own."""
        self._out.append(frame)
        self._out_bytes += len(frame)
        return 0
