cimport cython

from torana.wire.http2.budgets cimport SMALL_FRAME
from torana.wire.http2.control cimport Control
from torana.wire.http2.errors cimport (
    FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, NO_ERROR, PROTOCOL_ERROR, STREAM_CLOSED,
)
from torana.wire.http2.events cimport StreamEvent, body, ended
from torana.wire.http2.frames cimport DATA, END_STREAM, PADDED, FrameReader, reset_frame
from torana.wire.http2.states cimport (
    CLOSED, CLOSED_ERROR, STREAM_ERROR, TAKE, UNEXPECTED, after_their_end, is_dead, verdict,
)
from torana.wire.http2.streams cimport StreamState
from torana.wire.http2.windows cimport InWindow, new_window

cdef int _MOST_EMPTY

cdef class Bodies(Control):
    cdef StreamState _data_stream
    cdef bint _data_ends
    cdef int _empties

    @cython.locals(reader=FrameReader, size=Py_ssize_t, number="unsigned int", stream=StreamState, state=cython.int,
                   what=cython.int, padding=Py_ssize_t, is_end=bint, start=Py_ssize_t)
    cdef StreamEvent _on_data(self)
    @cython.locals(reader=FrameReader, padding=Py_ssize_t)
    cdef Py_ssize_t _padding(self) except -1
    cdef int _give_padding(self, StreamState stream, Py_ssize_t padding) except -1
    cdef int _on_late_data(self, unsigned int number, StreamState stream, int what, Py_ssize_t size) except -1
    @cython.locals(window=InWindow, cost=cython.double)
    cdef bint _judge_data(self, StreamState stream, Py_ssize_t flow, Py_ssize_t size, bint is_end) except -1
    @cython.locals(reader=FrameReader, data=bytes, stream=StreamState, is_wanted=bint)
    cdef StreamEvent _on_piece(self)
    @cython.locals(state=cython.int)
    cdef int _their_end(self, StreamState stream, list trailers) except -1
    cdef int _note_empty(self, Py_ssize_t size) except -1
