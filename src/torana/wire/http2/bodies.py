"""Request bodies on their way in: DATA, within our windows and as long as was declared.

The fourth storey of a connection. Every byte is accounted for, whoever throws it away (threat G-050).
Never here: header blocks, frames of the connection. RFC 9113 sections 5.2, 6.1 and 8.1.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torana.wire.http2.budgets import SMALL_FRAME
from torana.wire.http2.control import Control
from torana.wire.http2.errors import (
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    NO_ERROR,
    PROTOCOL_ERROR,
    STREAM_CLOSED,
    Http2Error,
    calm,
)
from torana.wire.http2.events import StreamEvent, body, ended
from torana.wire.http2.frames import DATA, END_STREAM, PADDED, reset_frame
from torana.wire.http2.states import (
    CLOSED,
    CLOSED_ERROR,
    STREAM_ERROR,
    TAKE,
    UNEXPECTED,
    after_their_end,
    is_dead,
    verdict,
)
from torana.wire.http2.windows import new_window

if TYPE_CHECKING:
    from torana.wire.events import Fields
    from torana.wire.http2.limits import Limits
    from torana.wire.http2.streams import StreamState

#: DATA, HEADERS and CONTINUATION frames without anything in them, in a row (threat G-048).
_MOST_EMPTY = 100


class Bodies(Control):
    """Receives bodies."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        #: The stream of the present DATA frame; None: thrown away.
        self._data_stream: StreamState | None = None
        self._data_ends = False
        self._empties = 0

    def _on_data(self) -> StreamEvent | None:
        """The head of a DATA frame, or the whole of a padded one."""
        reader = self._reader
        size = reader.length
        number = reader.stream
        stream = self._streams.get(number)
        state = self._state_of(number) if stream is None else stream.state
        what = verdict(state, DATA)
        if what == UNEXPECTED:
            raise Http2Error(PROTOCOL_ERROR, "data-on-idle")
        if not self.incoming.take(size):
            raise Http2Error(FLOW_CONTROL_ERROR, "connection-window")
        padding = self._padding() if reader.flags & PADDED else 0
        is_end = (reader.flags & END_STREAM) != 0
        self._data_stream = None
        if stream is None or what != TAKE:
            self._on_late_data(number, stream, what, size)
            return None
        if not self._judge_data(stream, size, size - padding, is_end):
            return None
        if padding:
            self._give_padding(stream, padding)
        if not reader.flags & PADDED and size:
            self._data_stream = stream
            self._data_ends = is_end
            return None
        start = reader.start + 1
        size -= padding
        if is_end:
            self._their_end(stream, [])
        if size == 0 or stream.is_finished:
            return None
        return body(stream, reader.data[start : start + size], size)

    def _padding(self) -> int:
        """Bytes of a padded frame that are not data."""
        reader = self._reader
        if reader.length == 0:
            raise Http2Error(FRAME_SIZE_ERROR, "data-size")
        padding = reader.data[reader.start] + 1
        if padding > reader.length:
            raise Http2Error(PROTOCOL_ERROR, "long-padding")
        return padding

    def _give_padding(self, stream: StreamState, padding: int) -> int:
        """Padding is never seen by anybody: its room is free at once."""
        if stream.incoming is not None and stream.incoming.taken >= padding:
            self._refund(padding)
            self._give_back(stream, padding)
        return 0

    def _on_late_data(self, number: int, stream: StreamState | None, what: int, size: int) -> int:
        """DATA that nobody takes: its room on the connection is given back, always."""
        self._refund(size)
        if what == CLOSED_ERROR:
            raise Http2Error(STREAM_CLOSED, "data-after-end")
        if stream is not None:
            self._fault(stream, STREAM_CLOSED, "data-after-end", "")
        elif what == STREAM_ERROR:
            self._spend_reset()
            self._reply(reset_frame(number, STREAM_CLOSED))
        else:
            self._spend_odd()
        return 0

    def _judge_data(self, stream: StreamState, flow: int, size: int, is_end: bool) -> bool:
        """Whether ``size`` bytes of data may come now, ``flow`` with padding; if not, the stream is reset."""
        window = stream.incoming
        if window is None:
            window = stream.incoming = new_window(self._stream_window)
        if not window.take(flow):
            self._refund(flow)
            self._fault(stream, FLOW_CONTROL_ERROR, "stream-window", "")
            return False
        stream.received += size
        if stream.declared >= 0 and stream.received > stream.declared:
            self._fault(stream, PROTOCOL_ERROR, "long-body", "")
            return False
        if is_end:
            if stream.received < stream.declared:
                self._fault(stream, PROTOCOL_ERROR, "short-body", "")
                return False
        else:
            self._note_empty(size)
            if size < SMALL_FRAME:
                cost = SMALL_FRAME - size
                if not self._small.take(self._now, cost):
                    raise calm("small-frames")
                stream.small += cost
        if stream.is_finished:
            self._release(stream, window.surrender())
            if window.left == 0 and not is_end:
                self._cut(stream, NO_ERROR)
                return False
        elif self.incoming.taken * 4 >= self.incoming.size:
            self._advance_window(stream, size)
        return True

    def _on_piece(self) -> StreamEvent | None:
        """What is there of the present DATA frame."""
        reader = self._reader
        data = reader.take()
        stream = self._data_stream
        if stream is None or is_dead(stream.state):
            return None
        is_wanted = len(data) > 0 and not stream.is_finished
        if reader.left == 0:
            self._data_stream = None
            if self._data_ends:
                self._their_end(stream, [])
        return body(stream, data, len(data)) if is_wanted else None

    def _their_end(self, stream: StreamState, trailers: Fields) -> int:
        """The client's END_STREAM."""
        if not stream.is_finished and not stream.is_quiet:
            self._post(ended(stream, trailers))
        state = after_their_end(stream.state)
        if state == CLOSED:
            self._close(stream, CLOSED)
        else:
            stream.state = state
        return 0

    def _note_empty(self, size: int) -> int:
        """Count frames that say nothing."""
        if size:
            self._empties = 0
            return 0
        self._empties += 1
        if self._empties > _MOST_EMPTY:
            raise calm("empty-frames")
        return 0
