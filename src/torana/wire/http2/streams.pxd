cimport cython

from torana.wire.http2.states cimport OPEN, SILENT
from torana.wire.http2.windows cimport InWindow

cdef Py_ssize_t HIGH_WATER
cdef Py_ssize_t LOW_WATER
cdef int USUAL_URGENCY

@cython.final
cdef class StreamState:
    cdef readonly unsigned int id
    cdef public object owner
    cdef public int state
    cdef public int sending
    cdef public bint has_slot
    cdef public bint is_finished
    cdef public bint is_quiet

    cdef public long long declared
    cdef public long long received
    cdef public InWindow incoming
    cdef public long long ahead
    cdef public double small

    cdef public long long window
    cdef public long long sent
    cdef public Py_ssize_t waiting
    cdef list pieces
    cdef Py_ssize_t first
    cdef Py_ssize_t offset
    cdef public bint is_full
    cdef public list trailers
    cdef public bint is_sent

    cdef public int urgency
    cdef public bint is_incremental
    cdef public bint is_queued

    cdef int begin(self, unsigned int number, int state, long long declared, long long window) except -1
    cdef int push(self, bytes data) except -1
    cdef int drop(self) except -1
    @cython.locals(pieces=list, piece=bytes, left=Py_ssize_t)
    cdef int pop(self, list parts, Py_ssize_t count) except -1

@cython.locals(made=StreamState)
cpdef StreamState new_stream(unsigned int number, int state, long long declared, long long window)
