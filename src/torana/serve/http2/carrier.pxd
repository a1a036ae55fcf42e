from torana.exchange.carrier cimport Carrier, Speaker
from torana.serve.http2.answering cimport Answering

cdef Py_ssize_t _MOST_PIECES

cdef class StreamCarrier(Carrier):
    cdef public Answering stream
    cdef public Speaker speaker
    cdef bint _is_reading
    cdef bint _is_begun
    cdef bint _is_called_back
    cdef list _kept
    cdef bint _is_over
    cdef bint _is_told
    cdef double _look_at

    cpdef received(self, bytes data)
    cpdef hand_on(self)
    cpdef ended(self)
    cpdef lost(self)
    cpdef drained(self)
    cpdef look(self, double now)
    cpdef retire(self)
    cpdef stop(self)
