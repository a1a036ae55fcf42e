cimport cython

from torana.wire.events cimport RequestHead
from torana.wire.http2.budgets cimport Bucket
from torana.wire.http2.bodies cimport Bodies
from torana.wire.http2.errors cimport (
    COMPRESSION_ERROR, FRAME_SIZE_ERROR, NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM, STREAM_CLOSED,
)
from torana.wire.http2.events cimport Refused, StreamEvent, opened, refused
from torana.wire.http2.frames cimport (
    ACK, CONTINUATION, CUT, DATA, END_HEADERS, END_STREAM, GARBLED, HAS_PRIORITY, HEADERS, PADDED, SETTINGS_FRAME,
    TOO_LONG, FrameReader, add_head_frames, reset_frame,
)
from torana.wire.http2.heads cimport HeadReader, copied, judged_trailers
from torana.wire.http2.hpack cimport Decoder
from torana.wire.http2.states cimport (
    CLOSED, CLOSED_ERROR, ENDED, OPEN, PREFACE, REMOTE_DONE, RESET_BY_US, SETTINGS, STREAM_ERROR, TAKE, TALKING,
    UNEXPECTED, verdict,
)
from torana.wire.http2.streams cimport StreamState, new_stream

cdef int _MOST_CONTINUATIONS
cdef Py_ssize_t _MOST_BLOCK
cdef Py_ssize_t _MOST_KNOWN
cdef Py_ssize_t _LONGEST_KNOWN
cdef Py_ssize_t _LARGEST_KNOWN

cdef class Inbound(Bodies):
    cdef readonly bint is_closing
    cdef int _stage
    cdef bint _has_eof
    cdef Py_ssize_t _head_bytes
    cdef Py_ssize_t _most_block
    cdef Py_ssize_t _field_bytes
    cdef Py_ssize_t _field_count
    cdef Py_ssize_t _trailer_bytes
    cdef Decoder _decoder
    cdef HeadReader _heads
    cdef dict _known_ended
    cdef dict _known_open
    cdef Py_ssize_t _known_at
    cdef readonly Py_ssize_t head_size
    cdef unsigned int _block_stream
    cdef list _block
    cdef Py_ssize_t _block_bytes
    cdef int _block_count
    cdef bint _block_ends
    cdef bint _block_depends
    cdef Bucket _refusals

    @cython.locals(reader=FrameReader, found=cython.int)
    cdef object _advance(self)
    cdef object _need_data(self)
    cdef bint _begin_talking(self) except -1
    cdef int _expect_settings(self) except -1
    @cython.locals(reader=FrameReader, number="unsigned int", start=Py_ssize_t, stop=Py_ssize_t, flags=cython.int,
                   padding=Py_ssize_t, needed=Py_ssize_t, depends=bint, block=bytes)
    cdef StreamEvent _on_headers(self)
    @cython.locals(reader=FrameReader, number="unsigned int", block=bytes)
    cdef StreamEvent _on_continuation(self)
    @cython.locals(stream=StreamState, head=RequestHead, state=cython.int)
    cdef StreamEvent _on_block(self, unsigned int number, bytes block, bint is_end, bint depends)
    @cython.locals(known=dict, decoder=Decoder, before=Py_ssize_t, found=tuple, head=RequestHead,
                   urgency=cython.int, is_incremental=bint)
    cdef RequestHead _head(self, bytes block, bint is_end)
    cdef list _decode(self, bytes block, Py_ssize_t most_bytes, str setting)
    @cython.locals(block=bytes, size=Py_ssize_t, state=cython.int, stream=StreamState)
    cdef Refused _refuse(self, unsigned int number, bint is_end, object fault)
    @cython.locals(what=cython.int)
    cdef int _on_late_block(self, unsigned int number, bytes block) except -1
    @cython.locals(fields=list)
    cdef int _on_trailers(self, StreamState stream, bytes block, bint is_end, bint depends) except -1
