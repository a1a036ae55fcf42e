cimport cython

from torana.base.bytescan cimport HEX, TOKEN, hexadecimal, span
from torana.wire.events cimport EndOfBody
from torana.wire.http1.framing cimport CHUNKED, LENGTH, NO_BODY
from torana.wire.http1.received cimport INCOMPLETE, TOO_LONG, Received

cdef int _SIZE
cdef int _DATA
cdef int _DATA_CR
cdef int _DATA_LF
cdef int _TRAILERS
cdef int _END

@cython.final
cdef class BodyReader:
    cdef Py_ssize_t _chunk_line_bytes
    cdef Py_ssize_t _extension_bytes
    cdef Py_ssize_t _overhead_bytes
    cdef Py_ssize_t _field_bytes
    cdef Py_ssize_t _trailer_bytes
    cdef Py_ssize_t _field_count

    cdef int _framing
    cdef int _stage
    cdef long long _remaining
    cdef long long _data_read
    cdef long long _overhead
    cdef Py_ssize_t _extensions
    cdef Py_ssize_t _trailer_left
    cdef list _trailers
    cdef object _fault

    cdef int begin(self, long long length) except -1
    cdef object read(self, Received received)
    @cython.locals(data=bytes)
    cdef object _read_length(self, Received received)

    @cython.locals(parts=list)
    cdef object _read_chunked(self, Received received)

    @cython.locals(data=bytes)
    cdef object _next_part(self, Received received)

    @cython.locals(start=Py_ssize_t, stop=Py_ssize_t, digits=Py_ssize_t, raw="const unsigned char*", size=cython.longlong)
    cdef bint _read_size(self, Received received) except -1

    @cython.locals(raw="const unsigned char*")
    cdef bint _read_data_end(self, Received received) except -1

    @cython.locals(start=Py_ssize_t, stop=Py_ssize_t, bound=Py_ssize_t)
    cdef bint _read_trailers(self, Received received) except -1

cpdef bint is_extension(bytes text) except -1
