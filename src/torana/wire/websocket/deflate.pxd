cimport cython

from torana.wire.websocket.message cimport Message

cdef Py_ssize_t LEAST_BYTES
cdef Py_ssize_t MOST_BYTES
cdef Py_ssize_t STEP_BYTES
cdef Py_ssize_t _FEED_BYTES
cdef int _MOST_ENDS
cdef bytes _TAIL

@cython.final
cdef class Deflater:
    cdef int _bits
    cdef bint _has_takeover
    cdef object _stream

    @cython.locals(compressed=bytes)
    cpdef bytes deflate(self, bytes data)

@cython.final
cdef class Inflater:
    cdef int _bits
    cdef bint _has_takeover
    cdef object _stream
    cdef int _ends
    cdef bint _is_fed

    @cython.locals(size=Py_ssize_t, start=Py_ssize_t, is_within=bint)
    cpdef bint inflate(self, bytes data, bint is_end, Message message, Py_ssize_t limit) except -1
    @cython.locals(most=Py_ssize_t, inflated=bytes)
    cdef bint _feed(self, bytes data, Message message, Py_ssize_t limit) except -1
