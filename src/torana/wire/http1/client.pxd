cimport cython

from torana.base.bytescan cimport NAME, TARGET, TEXT, decimal, span
from torana.base.headers cimport is_token, tokens
from torana.wire.events cimport EndOfBody, Mark
from torana.wire.http1.body cimport BodyReader
from torana.wire.http1.names cimport NAMES, slot_of
from torana.wire.http1.received cimport ILLEGAL, INCOMPLETE, Received

cdef int _HEAD
cdef int _BODY
cdef int _DONE
cdef int _SWITCHED
cdef int _FAILED
cdef int _EMPTY
cdef int _FRAMED
cdef int _UNTIL_CLOSE
cdef int _MOST_INTERIM
cdef long long _MOST_BYTES

@cython.locals(parts=list, name=bytes, value=bytes, lowered=bytes, size=Py_ssize_t, has_host=bint, takes_trailers=bint)
cpdef bytes request_head(str method, bytes target, list fields, long long length, bytes upgrade=*)

cdef bytes _start(str method)
@cython.locals(raw="const unsigned char*", size=Py_ssize_t, i=Py_ssize_t)
cdef int _add_field(list parts, bytes name, bytes value) except -1
cdef object _listed(bytes value, int status)
@cython.locals(i=Py_ssize_t)
cdef int _remove(list parts, object named) except -1

cpdef tuple chunk(bytes data)
cpdef bytes end(list trailers)

cdef class Interim:
    cdef public int status
    cdef public list fields

cdef class ResponseHead:
    cdef public int status
    cdef public bytes reason
    cdef public list fields
    cdef public long long length

@cython.final
cdef class ResponseReader:
    cdef public bint keep_alive

    cdef Py_ssize_t _line_bytes
    cdef Py_ssize_t _field_bytes
    cdef Py_ssize_t _head_bytes
    cdef Py_ssize_t _field_count
    cdef Received _received
    cdef BodyReader _body
    cdef int _stage
    cdef bint _has_eof
    cdef bint _is_head_asked
    cdef int _interims
    cdef Py_ssize_t _left
    cdef int _status
    cdef int _minor
    cdef bytes _reason
    cdef list _fields
    cdef long long _length
    cdef bytes _coding
    cdef object _options
    cdef int _framing

    cpdef begin(self, bint is_head)
    cdef int _reset(self) except -1
    cpdef receive(self, bytes data)
    cpdef receive_eof(self)
    cpdef bint is_reusable(self) except -1
    cpdef bytes rest(self)
    @cython.locals(stage=int)
    cpdef object next(self)
    @cython.locals(received=Received, bound=Py_ssize_t, stop=Py_ssize_t, start=Py_ssize_t, data=bytes)
    cdef object _next_head(self)
    cdef Py_ssize_t _bound(self, Py_ssize_t line_bytes) noexcept
    @cython.locals(minor=int, status=cython.longlong)
    cdef int _read_status(self, bytes line) except -1
    @cython.locals(raw="const unsigned char*", i=Py_ssize_t, end=Py_ssize_t, size=Py_ssize_t, slot=Py_ssize_t,
                   marks=int, name=bytes, value=bytes)
    cdef int _read_field(self, bytes data, Py_ssize_t start, Py_ssize_t stop) except -1
    cdef bint _note(self, bytes name, bytes value) except -1
    cdef object _interim(self)
    @cython.locals(status=int, length=cython.longlong, head=ResponseHead)
    cdef object _finish(self)
    cdef list _without_named(self)
    cdef object _next_body(self)
