cimport cython

from torana.wire.http2.budgets cimport Bucket
from torana.wire.http2.errors cimport NO_ERROR
from torana.wire.http2.events cimport StreamEvent, reset as reset_event
from torana.wire.http2.frames cimport reset_frame, update_frame
from torana.wire.http2.states cimport CLOSED, FORGOTTEN, IDLE, LOCAL_DONE, RESET_BY_US, is_dead, is_receiving
from torana.wire.http2.streams cimport StreamState
from torana.wire.http2.windows cimport InWindow, new_window

cdef long long _MOST_AHEAD

cdef class Roster:
    cdef readonly bint is_choked
    cdef readonly bint has_events
    cdef readonly Py_ssize_t running
    cdef readonly unsigned int last_id
    cdef readonly InWindow incoming

    cdef Py_ssize_t _most_running
    cdef dict _streams
    cdef list _past
    cdef Py_ssize_t _lingering
    cdef list _events
    cdef list _out
    cdef Py_ssize_t _out_bytes
    cdef Py_ssize_t _waiting
    cdef readonly long long moved
    cdef Py_ssize_t _replies
    cdef long long _stream_window
    cdef long long _ahead
    cdef public bint is_generous
    cdef double _now
    cdef Bucket _resets
    cdef Bucket _small

    cdef int _post(self, StreamEvent event) except -1
    @cython.locals(event=StreamEvent)
    cdef StreamEvent _pop_event(self)
    cdef int _reply(self, bytes frame) except -1
    @cython.locals(past="unsigned long long")
    cdef int _state_of(self, unsigned int number) except -1
    @cython.locals(past="unsigned long long")
    cdef int _remember(self, unsigned int number, int state) except -1
    cdef int _close(self, StreamState stream, int state) except -1
    cdef int _cut(self, StreamState stream, unsigned int code) except -1
    cdef int _fault(self, StreamState stream, unsigned int code, str reason, str setting) except -1
    cdef int _spend_reset(self) except -1
    cpdef finished(self, StreamState stream)
    @cython.locals(left="long long")
    cdef int _linger(self, StreamState stream) except -1
    @cython.locals(window=InWindow)
    cpdef acknowledge(self, StreamState stream, long long size)
    @cython.locals(window=InWindow, increment="long long")
    cdef int _give_back(self, StreamState stream, long long size) except -1
    @cython.locals(increment="long long")
    cdef int _refund(self, long long size) except -1
    @cython.locals(taken="long long")
    cpdef long long unread(self) except -1
    cdef int _advance_window(self, StreamState stream, long long size) except -1
    @cython.locals(ahead="long long")
    cdef int _release(self, StreamState stream, long long size) except -1
