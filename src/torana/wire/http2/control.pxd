cimport cython

from torana.wire.events cimport Mark
from torana.wire.http2.budgets cimport Bucket
from torana.wire.http2.errors cimport FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, PROTOCOL_ERROR
from torana.wire.http2.events cimport reset as reset_event
from torana.wire.http2.frames cimport (
    ACK, ENABLE_PUSH, GOAWAY, HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, NO_RFC7540_PRIORITIES, PING,
    PRIORITY, PRIORITY_UPDATE, PUSH_PROMISE, RST_STREAM, SETTINGS_FRAME, WINDOW_UPDATE, FrameReader, ping_frame,
    settings_ack,
)
from torana.wire.http2.heads cimport parse_priority
from torana.wire.http2.outbound cimport Outbound
from torana.wire.http2.states cimport RESET_BY_PEER, TAKE, UNEXPECTED, verdict
from torana.wire.http2.streams cimport StreamState
from torana.wire.http2.windows cimport LARGEST_WINDOW, can_widen

cdef bytes PING_PAYLOAD
cdef Py_ssize_t _MOST_SETTINGS
cdef int _UPDATE_COLUMN

cdef class Control(Outbound):
    cdef readonly bint is_settled
    cdef readonly bint has_goaway
    cdef FrameReader _reader
    cdef bint _is_pinging
    cdef Bucket _settings
    cdef Bucket _pings
    cdef Bucket _updates
    cdef Bucket _odds

    @cython.locals(kind=cython.int)
    cdef Mark _on_control(self)
    cdef int _spend_odd(self) except -1
    cdef int _thank(self) except -1
    @cython.locals(reader=FrameReader, size=Py_ssize_t, at=Py_ssize_t)
    cdef int _on_settings(self) except -1
    cdef int _apply(self, int name, long long value) except -1
    @cython.locals(stream=StreamState)
    cdef int _change_windows(self, long long delta) except -1
    cdef int _change_window(self, StreamState stream, long long delta) except -1
    @cython.locals(reader=FrameReader, payload=bytes)
    cdef Mark _on_ping(self)
    @cython.locals(reader=FrameReader)
    cdef int _on_goaway(self) except -1
    @cython.locals(reader=FrameReader, increment="long long", stream=StreamState)
    cdef int _on_update(self) except -1
    @cython.locals(reader=FrameReader, code="unsigned int", stream=StreamState)
    cdef int _on_reset(self) except -1
    @cython.locals(reader=FrameReader, state=cython.int, stream=StreamState)
    cdef int _on_priority(self) except -1
    @cython.locals(reader=FrameReader, number="unsigned int", stream=StreamState, urgency=cython.int, is_incremental=bint)
    cdef int _on_priority_update(self) except -1
