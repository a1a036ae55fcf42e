cimport cython

from torana.wire.http2.budgets cimport SMALL_FRAME, Bucket
from torana.wire.http2.events cimport drained, sent
from torana.wire.http2.frames cimport DATA, END_STREAM, HEAD_SIZE, MOST_PAYLOAD, add_head_frames, frame_head
from torana.wire.http2.hpack cimport Encoder
from torana.wire.http2.roster cimport Roster
from torana.wire.http2.states cimport (
    CLOSED, STARTED, WRITTEN, after_our_end, can_send_data, can_send_head, is_dead,
)
from torana.wire.http2.streams cimport LOW_WATER, StreamState
from torana.wire.http2.windows cimport FIRST_WINDOW

cdef long long _NO_BODY
cdef Py_ssize_t _MOST_DIRECT
cdef Py_ssize_t _MOST_QUEUED
cdef double _CRUMB_PAUSE_S
cdef list _LENGTHS
cdef object _OF_CONNECTIONS

cdef class Outbound(Roster):
    cdef readonly double retry_at
    cdef Encoder _encoder
    cdef long long _window
    cdef long long _first_window
    cdef list _queues
    cdef unsigned int _mask
    cdef list _held
    cdef bint _is_held
    cdef Bucket _crumbs
    cdef Py_ssize_t _gifts

    @cython.locals(block=bytes, has_end=bint)
    cpdef send_head(self, StreamState stream, int status, list fields, long long length, object data, bint is_end,
                    bytes date, list defaults)
    @cython.locals(block=bytes)
    cpdef send_informational(self, StreamState stream, int status, list fields)
    cpdef send_data(self, StreamState stream, object data, bint is_end)
    @cython.locals(block=list)
    cpdef send_trailers(self, StreamState stream, list fields)
    cpdef reset(self, StreamState stream, unsigned int code)
    @cython.locals(size=Py_ssize_t)
    cdef int _put(self, StreamState stream, object data, bint is_end) except -1
    cdef int _put_frame(self, StreamState stream, Py_ssize_t size, bint is_end) except -1
    @cython.locals(block=bytes)
    cdef int _put_trailers(self, StreamState stream, list fields) except -1
    @cython.locals(state=cython.int)
    cdef int _answer_ended(self, StreamState stream) except -1

    @cython.locals(queue=list)
    cdef int _enqueue(self, StreamState stream) except -1
    @cython.locals(queue=list)
    cdef int _prioritise(self, StreamState stream, int urgency, bint is_incremental) except -1
    @cython.locals(held=list, stream=StreamState)
    cdef int _resume(self) except -1
    @cython.locals(goal=Py_ssize_t, urgency=cython.int, queue=list, stream=StreamState)
    cdef int _fill(self, Py_ssize_t most) except -1
    @cython.locals(size=Py_ssize_t, allowed="long long", is_last=bint, trailers=list)
    cdef bint _send_turn(self, StreamState stream) except -1

@cython.locals(has_date=bint, has_length=bint, whole=list, pair=tuple, name=bytes, known=bytes, size=Py_ssize_t,
               given=Py_ssize_t, i=Py_ssize_t, is_given=bint)
cdef list answer_fields(list fields, long long length, bytes date, list defaults)
