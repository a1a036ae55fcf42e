"""Answers on their way out: heads at once, bodies within the client's windows and in the order it asked for.

The second storey of a connection. Streams that may send stand in eight queues by urgency (RFC 9218 section 10); one
that said "not incremental" goes on alone, the others take turns frame by frame.
Never here: what an answer may be (``exchange``), HPACK, frames of the client. RFC 9113 sections 5.2, 6.9 and 8.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torana.base.headers import is_field_value, is_token
from torana.base.trailers import is_forbidden_trailer
from torana.wire.http2.budgets import CRUMB_BURST, CRUMB_RATE, SMALL_FRAME, Bucket
from torana.wire.http2.events import drained, sent
from torana.wire.http2.frames import DATA, END_STREAM, HEAD_SIZE, MOST_PAYLOAD, add_head_frames, frame_head
from torana.wire.http2.hpack import Encoder
from torana.wire.http2.roster import Roster
from torana.wire.http2.states import (
    CLOSED,
    STARTED,
    WRITTEN,
    LegalityError,
    after_our_end,
    can_send_data,
    can_send_head,
    is_dead,
)
from torana.wire.http2.streams import LOW_WATER
from torana.wire.http2.windows import FIRST_WINDOW

if TYPE_CHECKING:
    from torana.wire.events import Fields
    from torana.wire.http2.limits import Limits
    from torana.wire.http2.streams import StreamState

#: The message has no body (see ``Channel.respond``).
_NO_BODY = -2
#: With more than this in the output already, data waits in its stream.
_MOST_DIRECT = 64 * 1024
#: With more than this in the output, reading should pause.
_MOST_WAITING = 256 * 1024
#: With more than this in all its streams, each of them has enough (threat G-049).
_MOST_QUEUED = 1024 * 1024
#: A piece held back because it was too small is looked at again after this time.
_CRUMB_PAUSE_S = 0.1
_LENGTHS = [b"%d" % length for length in range(2048)]


class Outbound(Roster):
    """Sends."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self.retry_at = 0.0
        self._encoder = Encoder()
        #: What we may send on all streams together; at first on each.
        self._window = FIRST_WINDOW
        self._first_window = FIRST_WINDOW
        #: Streams that wait for their turn, by urgency; bit n: queue n is not empty.
        self._queues: list[list[StreamState]] = [[] for _ in range(8)]
        self._mask = 0
        #: Streams (or with them the connection) whose window is too small to be worth a frame now.
        self._held: list[StreamState] = []
        self._is_held = False
        self._crumbs = Bucket(CRUMB_BURST, CRUMB_RATE)
        #: DATA frames sent since the client was last given something for them (``control``).
        self._gifts = 0

    # Answers

    def send_head(
        self,
        stream: StreamState,
        status: int,
        fields: Fields,
        length: int,
        data: Any,
        is_end: bool,
        date: bytes,
        defaults: Fields,
    ) -> None:
        """See ``Http2Connection``."""
        if is_dead(stream.state):
            return
        if not can_send_head(stream.sending):
            raise LegalityError("the response head was already written")
        block = self._encoder.encode_head(status, answer_fields(fields, length, date, defaults))
        has_end = length == _NO_BODY or (is_end and len(data) == 0)
        self._out_bytes += add_head_frames(self._out, stream.id, block, has_end)
        if self._out_bytes > _MOST_WAITING:
            # Nobody takes them, and each that is complete lets the client ask for another (threat G-047).
            self.is_choked = True
        if has_end:
            stream.sending = WRITTEN
            self._answer_ended(stream)
        else:
            stream.sending = STARTED
            self._put(stream, data, is_end)

    def send_informational(self, stream: StreamState, status: int, fields: Fields) -> None:
        """See ``Http2Connection``."""
        if is_dead(stream.state):
            return
        if not can_send_head(stream.sending):
            raise LegalityError("no interim response is possible now")
        if status < 100 or status > 199 or status == 101:
            raise ValueError("not an interim status code")
        block = self._encoder.encode_head(status, fields)
        self._out_bytes += add_head_frames(self._out, stream.id, block, False)

    def send_data(self, stream: StreamState, data: Any, is_end: bool) -> None:
        """See ``Http2Connection``."""
        if is_dead(stream.state):
            return
        if can_send_data(stream.sending):
            self._put(stream, data, is_end)
        elif len(data) or can_send_head(stream.sending):
            raise LegalityError("no response body is open")

    def send_trailers(self, stream: StreamState, fields: Fields) -> None:
        """See ``Http2Connection``."""
        if is_dead(stream.state):
            return
        if not can_send_data(stream.sending):
            raise LegalityError("no response body is open")
        for name, value in fields:
            if not is_token(name) or is_forbidden_trailer(name.lower()):
                raise ValueError("field may not be a trailer: " + ascii(name))
            if not is_field_value(value):
                raise ValueError("control byte in the value of field " + ascii(name))
        if not fields:
            self._put(stream, b"", True)
            return
        block = fields[:]
        if stream.waiting:
            stream.trailers = block
            stream.sending = WRITTEN
        else:
            self._put_trailers(stream, block)
            stream.sending = WRITTEN

    def reset(self, stream: StreamState, code: int) -> None:
        """See ``Http2Connection``."""
        if not is_dead(stream.state):
            self._cut(stream, code)

    def _put(self, stream: StreamState, data: Any, is_end: bool) -> int:
        """Send data now if nothing stands in the way, or else queue it."""
        size = len(data)
        if is_end:
            stream.sending = WRITTEN
        if stream.waiting == 0:
            if size == 0:
                if is_end:
                    self._put_frame(stream, 0, True)
                return 0
            if (
                size <= MOST_PAYLOAD
                and size <= stream.window
                and size <= self._window
                and self._mask == 0
                and self._out_bytes < _MOST_DIRECT
            ):
                if type(data) is not bytes:
                    data = bytes(data)
                self._out.append(frame_head(size, DATA, END_STREAM if is_end else 0, stream.id))
                self._out.append(data)
                self._out_bytes += HEAD_SIZE + size
                self._window -= size
                stream.window -= size
                stream.sent += size
                self._gifts += 1
                if is_end:
                    self._answer_ended(stream)
                return 0
        if size:
            if type(data) is not bytes:
                data = bytes(data)
            stream.push(data)
            self._waiting += size
            if self._waiting > _MOST_QUEUED:
                stream.is_full = True
            self._enqueue(stream)
        return 0

    def _put_frame(self, stream: StreamState, size: int, is_end: bool) -> int:
        """One DATA frame with the next ``size`` bytes of those that wait."""
        self._out.append(frame_head(size, DATA, END_STREAM if is_end else 0, stream.id))
        if size:
            stream.pop(self._out, size)
            self._waiting -= size
            self.moved += size
            stream.window -= size
            self._window -= size
            self._gifts += 1
        self._out_bytes += HEAD_SIZE + size
        if is_end:
            self._answer_ended(stream)
        return 0

    def _put_trailers(self, stream: StreamState, fields: Fields) -> int:
        block = self._encoder.encode(fields)
        self._out_bytes += add_head_frames(self._out, stream.id, block, True)
        self._answer_ended(stream)
        return 0

    def _answer_ended(self, stream: StreamState) -> int:
        """Our END_STREAM is in the output."""
        stream.is_sent = True
        state = after_our_end(stream.state)
        if state == CLOSED:
            self._close(stream, CLOSED)
        else:
            stream.state = state
            if stream.is_finished:
                self._linger(stream)
        return 0

    # Queues

    def _enqueue(self, stream: StreamState) -> int:
        """Let a stream take turns, if it has something to send and may."""
        if not stream.is_queued and stream.waiting and stream.window > 0:
            queue: list[StreamState] = self._queues[stream.urgency]
            queue.append(stream)
            stream.is_queued = True
            self._mask |= 1 << stream.urgency
        return 0

    def _prioritise(self, stream: StreamState, urgency: int, is_incremental: bool) -> int:
        """Change a stream's place; one that stands in a queue goes to the end of its new one."""
        if stream.is_queued and urgency != stream.urgency:
            queue: list[StreamState] = self._queues[stream.urgency]
            queue.remove(stream)
            if not queue:
                self._mask &= ~(1 << stream.urgency)
            stream.is_queued = False
        stream.urgency = urgency
        stream.is_incremental = is_incremental
        self._enqueue(stream)
        return 0

    def _resume(self) -> int:
        """Look again at what was held back."""
        self.retry_at = 0.0
        self._is_held = False
        held = self._held
        if held:
            self._held = []
            for stream in held:
                self._enqueue(stream)
        return 0

    def _fill(self, most: int) -> int:
        """Move about ``most`` bytes of what waits to the output: the most urgent first."""
        goal = self._out_bytes + most
        while self._mask and self._window > 0 and not self._is_held and self._out_bytes < goal:
            urgency = 0
            while not self._mask >> urgency & 1:
                urgency += 1
            queue: list[StreamState] = self._queues[urgency]
            stream: StreamState = queue[0]
            if self._send_turn(stream):
                if stream.is_incremental and len(queue) > 1:
                    queue.append(queue.pop(0))
            else:
                queue.pop(0)
                stream.is_queued = False
                if not queue:
                    self._mask &= ~(1 << urgency)
        return 0

    def _send_turn(self, stream: StreamState) -> bool:
        """One frame of a stream; False when it has nothing to send any more, or may not."""
        size = stream.waiting
        if size == 0 or stream.window <= 0:
            return False
        if size > MOST_PAYLOAD:
            size = MOST_PAYLOAD
        allowed = stream.window if stream.window < self._window else self._window
        if size > allowed:
            size = allowed
            if size < SMALL_FRAME and not self._crumbs.take(self._now, 1.0):
                # A client that opens its window byte by byte gets few frames for it (threat G-049).
                self.retry_at = self._now + _CRUMB_PAUSE_S
                if stream.window <= self._window:
                    self._held.append(stream)
                    return False
                self._is_held = True
                return True
        is_last = size == stream.waiting and stream.sending == WRITTEN
        trailers = stream.trailers
        self._put_frame(stream, size, is_last and trailers is None)
        if is_last:
            if trailers is not None:
                self._put_trailers(stream, trailers)
            self._post(sent(stream))
        elif stream.is_full and stream.waiting < LOW_WATER:
            stream.is_full = False
            if not stream.is_finished:
                self._post(drained(stream))
        return stream.waiting > 0 and stream.window > 0


def answer_fields(fields: Fields, length: int, date: bytes, defaults: Fields) -> Fields:
    """``fields`` with what an answer has besides: its length, Date and the defaults, where they are not given."""
    has_date = not date
    has_length = length < 0
    whole: Fields = []
    for pair in fields:
        name = pair[0]
        size = len(name)
        if size == 4:
            if not has_date and name.lower() == b"date":
                has_date = True
        elif size == 14:
            if not has_length and name.lower() == b"content-length":
                has_length = True
        elif (size == 7 or size == 10 or size == 16 or size == 17) and name.lower() in _OF_CONNECTIONS:
            continue  # HTTP/2 has no such fields (section 8.2.2)
        whole.append(pair)
    given = len(whole)
    if not has_length:
        whole.append((b"content-length", _LENGTHS[length] if length < 2048 else b"%d" % length))
    if not has_date:
        whole.append((b"date", date))
    for pair in defaults:
        known = pair[0]
        is_given = False
        for i in range(given):
            name = whole[i][0]
            if len(name) == len(known) and (name == known or name.lower() == known):
                is_given = True
                break
        if not is_given:
            whole.append(pair)
    return whole


_OF_CONNECTIONS = frozenset((b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"))
