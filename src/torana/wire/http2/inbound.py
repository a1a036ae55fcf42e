"""Requests on their way in: header blocks become events, and every frame goes where it belongs.

The fifth storey of a connection. A block is always decoded to its end, whatever becomes of its stream, for the state
of HPACK is the connection's (threat G-045).
Never here: what fields mean (``heads``), DATA (``bodies``), other frames (``control``).
RFC 9113 sections 5.1, 6.2, 6.10 and 8.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torana.wire.events import CLOSED as CLOSED_MARK
from torana.wire.events import NEED_DATA, Mark
from torana.wire.http2.bodies import Bodies
from torana.wire.http2.budgets import REFUSAL_BURST, REFUSAL_RATE, Bucket
from torana.wire.http2.errors import (
    COMPRESSION_ERROR,
    FRAME_SIZE_ERROR,
    NO_ERROR,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    STREAM_CLOSED,
    Http2Error,
    StreamFault,
    calm,
)
from torana.wire.http2.events import Refused, StreamEvent, opened, refused
from torana.wire.http2.frames import (
    ACK,
    CONTINUATION,
    CUT,
    DATA,
    END_HEADERS,
    END_STREAM,
    GARBLED,
    HAS_PRIORITY,
    HEADERS,
    PADDED,
    SETTINGS_FRAME,
    TOO_LONG,
    add_head_frames,
    reset_frame,
)
from torana.wire.http2.heads import HeadReader, copied, judged_trailers
from torana.wire.http2.hpack import Decoder, HpackError, HpackTooLarge
from torana.wire.http2.states import (
    CLOSED,
    CLOSED_ERROR,
    ENDED,
    OPEN,
    PREFACE,
    REMOTE_DONE,
    RESET_BY_US,
    SETTINGS,
    STREAM_ERROR,
    TAKE,
    TALKING,
    UNEXPECTED,
    verdict,
)
from torana.wire.http2.streams import new_stream

if TYPE_CHECKING:
    from torana.wire.events import Fields, RequestHead
    from torana.wire.http2.limits import Limits
    from torana.wire.http2.streams import StreamState

_TABLE_BYTES = 4096
#: Bounds of a header block before it is decoded (threat G-041); bytes: or as many as a decoded one may have.
_MOST_CONTINUATIONS = 8
_MOST_BLOCK = 64 * 1024
#: Blocks whose heads are remembered, as long as they mean the same; longer ones are not.
_MOST_KNOWN = 16
_LONGEST_KNOWN = 512
#: Nor are those that unfold to more: a few bytes of indices would keep a whole head (threat G-042).
_LARGEST_KNOWN = 4096


class Inbound(Bodies):
    """Receives."""

    def __init__(
        self,
        limits: Limits,
        head_bytes: int,
        field_bytes: int,
        field_count: int,
        trailer_bytes: int,
        has_connect_protocol: bool,
    ) -> None:
        super().__init__(limits)
        self.is_closing = False
        self._stage = PREFACE
        self._has_eof = False
        self._head_bytes = head_bytes
        self._most_block = max(head_bytes, _MOST_BLOCK)
        self._field_bytes = field_bytes
        self._field_count = field_count
        self._trailer_bytes = trailer_bytes
        self._decoder = Decoder(_TABLE_BYTES)
        self._heads = HeadReader(field_bytes, has_connect_protocol)
        #: Heads by their block, valid while the decoder's table has not changed since.
        self._known_ended: dict[bytes, tuple[RequestHead, int, bool]] = {}
        self._known_open: dict[bytes, tuple[RequestHead, int, bool]] = {}
        self._known_at = 0
        self.head_size = 0
        #: The block that is being received: its stream (0: none), pieces, size, and what HEADERS said.
        self._block_stream = 0
        self._block: list[bytes] = []
        self._block_bytes = 0
        self._block_count = 0
        self._block_ends = False
        self._block_depends = False
        self._refusals = Bucket(REFUSAL_BURST, REFUSAL_RATE)

    def _advance(self) -> StreamEvent | Mark:
        """Read on to the next event or to the end of what is there."""
        reader = self._reader
        while True:
            if self.has_events:
                return self._pop_event()
            event: StreamEvent | Mark | None
            if reader.left:
                event = self._on_piece()
                if event is None:
                    if reader.left:
                        return self._need_data()
                    continue
                return event
            if self._stage != TALKING and not self._begin_talking():
                return self._need_data()
            found = reader.read()
            if found != CUT and self._stage == SETTINGS:
                self._expect_settings()
            if found == CUT:
                return self._need_data()
            if found == TOO_LONG:
                raise Http2Error(FRAME_SIZE_ERROR, "long-frame")
            if self._block_stream and reader.kind != CONTINUATION:
                raise Http2Error(PROTOCOL_ERROR, "interleaved-block")
            if reader.kind == HEADERS:
                event = self._on_headers()
            elif reader.kind == DATA:
                event = self._on_data()
            elif reader.kind == CONTINUATION:
                event = self._on_continuation()
            else:
                event = self._on_control()
            if event is not None:
                return event

    def _need_data(self) -> Mark:
        if self._has_eof:
            self._stage = ENDED
            return CLOSED_MARK
        return NEED_DATA

    def _begin_talking(self) -> bool:
        """Read the client's preface (section 3.4); False while it is not there."""
        if self._stage == PREFACE:
            found = self._reader.read_preface()
            if found == GARBLED:
                raise Http2Error(PROTOCOL_ERROR, "bad-preface")
            if found == CUT:
                return False
            self._stage = SETTINGS
        return True

    def _expect_settings(self) -> int:
        """The first frame is SETTINGS, and not an acknowledgement."""
        if self._reader.kind != SETTINGS_FRAME or self._reader.flags & ACK:
            raise Http2Error(PROTOCOL_ERROR, "no-settings")
        self._stage = TALKING
        return 0

    # Header blocks

    def _on_headers(self) -> StreamEvent | None:
        reader = self._reader
        number = reader.stream
        start = reader.start
        stop = reader.stop
        flags = reader.flags
        if not number & 1:
            raise Http2Error(PROTOCOL_ERROR, "bad-stream-number")
        padding = 0
        depends = False
        needed = (1 if flags & PADDED else 0) + (5 if flags & HAS_PRIORITY else 0)
        if stop - start < needed:
            raise Http2Error(FRAME_SIZE_ERROR, "headers-size")
        if flags & PADDED:
            padding = reader.data[start]
            start += 1
        if flags & HAS_PRIORITY:
            depends = reader.number(start) & 0x7FFFFFFF == number
            start += 5
        if padding > stop - start:
            raise Http2Error(PROTOCOL_ERROR, "long-padding")
        stop -= padding
        block = reader.data[start:stop]
        if flags & END_HEADERS:
            return self._on_block(number, block, (flags & END_STREAM) != 0, depends)
        self._note_empty(len(block))
        self._block_stream = number
        self._block = [block]
        self._block_bytes = len(block)
        self._block_count = 0
        self._block_ends = (flags & END_STREAM) != 0
        self._block_depends = depends
        return None

    def _on_continuation(self) -> StreamEvent | None:
        reader = self._reader
        number = self._block_stream
        if number == 0 or reader.stream != number:
            raise Http2Error(PROTOCOL_ERROR, "unexpected-continuation")
        self._block_count += 1
        self._block_bytes += reader.length
        if self._block_count > _MOST_CONTINUATIONS or self._block_bytes > self._most_block:
            raise calm("long-block", "limit_head")
        self._note_empty(reader.length)
        self._block.append(reader.data[reader.start : reader.stop])
        if not reader.flags & END_HEADERS:
            return None
        block = b"".join(self._block)
        self._block = []
        self._block_stream = 0
        return self._on_block(number, block, self._block_ends, self._block_depends)

    def _on_block(self, number: int, block: bytes, is_end: bool, depends: bool) -> StreamEvent | None:
        """A whole header block: a request, trailers, or nothing that is wanted any more."""
        stream = self._streams.get(number)
        if stream is not None:
            self._on_trailers(stream, block, is_end, depends)
            return None
        if number <= self.last_id:
            self._on_late_block(number, block)
            return None
        self.last_id = number
        fault: StreamFault | None = None
        try:
            head = self._head(block, is_end)
            if depends:
                raise StreamFault("self-dependency")
            if self.is_closing:
                raise StreamFault("going-away", "", 0, REFUSED_STREAM)
            if self.running >= self._most_running:
                raise StreamFault("streams", "limit_http2_streams", 0, REFUSED_STREAM)
        except StreamFault as error:
            fault = error
        if fault is not None:
            return self._refuse(number, is_end, fault)
        state = REMOTE_DONE if is_end else OPEN
        stream = new_stream(number, state, head.content_length, self._first_window)
        stream.urgency = self._heads.urgency
        stream.is_incremental = self._heads.is_incremental
        stream.has_slot = True
        self.running += 1
        self._streams[number] = stream
        self._empties = 0
        return opened(stream, head)

    def _head(self, block: bytes, is_end: bool) -> RequestHead:
        """The head that ``block`` is. One that came before is not judged again: the same bytes mean the same."""
        known = self._known_ended if is_end else self._known_open
        decoder = self._decoder
        before = decoder.changes
        if before != self._known_at:
            self._known_ended.clear()
            self._known_open.clear()
            self._known_at = before
        elif known:
            found = known.get(block)
            if found is not None:
                head, urgency, is_incremental = found
                self.head_size = 0
                self._heads.assume(urgency, is_incremental)
                return copied(head)
        head = self._heads.read(self._decode(block, self._head_bytes, "limit_head"), is_end)
        self.head_size = decoder.size
        if decoder.changes == before and len(block) <= _LONGEST_KNOWN and decoder.size <= _LARGEST_KNOWN:
            if len(known) >= _MOST_KNOWN:
                known.clear()
            known[block] = (copied(head), self._heads.urgency, self._heads.is_incremental)
        return head

    def _decode(self, block: bytes, most_bytes: int, setting: str) -> Fields:
        """Fields of ``block``; raises ``StreamFault`` for one that is too large, ``Http2Error`` for worse."""
        try:
            return self._decoder.decode(block, most_bytes, self._field_count)
        except HpackError as error:
            raise Http2Error(COMPRESSION_ERROR, error.reason) from None
        except HpackTooLarge as error:
            reason = "many-fields" if error.is_count else "long-head"
            if error.is_count:
                setting = "limit_field_count"
            if error.is_fatal:
                raise calm(reason, setting) from None
            raise StreamFault(reason, setting, 431) from None

    def _refuse(self, number: int, is_end: bool, fault: StreamFault) -> Refused:
        """Answer or reset a request that no application will hear of."""
        if fault.code == REFUSED_STREAM:
            if not self._refusals.take(self._now, 1.0):
                raise calm(fault.reason, fault.setting)
        else:
            self._spend_reset()
        if fault.status:
            block = self._encoder.encode_head(fault.status, [(b"content-length", b"0")])
            size = add_head_frames(self._out, number, block, True)
            self._out_bytes += size
            self._replies += size
            if not is_end:
                self._reply(reset_frame(number, NO_ERROR))
            code = NO_ERROR
        else:
            code = fault.code
            self._reply(reset_frame(number, code))
        state = CLOSED if is_end and fault.status else RESET_BY_US
        self._remember(number, state)
        stream = new_stream(number, state, 0, 0)
        return refused(stream, fault.status, code, fault.reason, fault.setting)

    def _on_late_block(self, number: int, block: bytes) -> int:
        """HEADERS for a stream that is over, or was passed by."""
        what = verdict(self._state_of(number), HEADERS)
        self._spend_odd()
        if what == UNEXPECTED:
            raise Http2Error(PROTOCOL_ERROR, "late-stream-number")
        if what == CLOSED_ERROR:
            raise Http2Error(STREAM_CLOSED, "headers-after-end")
        try:
            self._decode(block, self._head_bytes, "limit_head")
        except StreamFault:
            pass
        if what == STREAM_ERROR:
            self._spend_reset()
            self._reply(reset_frame(number, STREAM_CLOSED))
        return 0

    def _on_trailers(self, stream: StreamState, block: bytes, is_end: bool, depends: bool) -> int:
        """The trailer section of a request whose body has come (section 8.1)."""
        try:
            fields = self._decode(block, self._trailer_bytes, "limit_trailer")
            if verdict(stream.state, HEADERS) != TAKE:
                raise StreamFault("headers-after-end", "", 0, STREAM_CLOSED)
            if depends:
                raise StreamFault("self-dependency")
            if not is_end:
                raise StreamFault("trailers-without-end")
            fields = judged_trailers(fields, self._field_bytes)
            if stream.declared >= 0 and stream.received != stream.declared:
                raise StreamFault("short-body")
        except StreamFault as fault:
            self._fault(stream, fault.code, fault.reason, fault.setting)
            return 0
        self._their_end(stream, fields)
        return 0
