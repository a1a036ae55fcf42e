cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy

from torana.wire.http2.errors cimport NO_ERROR
from torana.wire.http2.frames cimport (
    ENABLE_CONNECT_PROTOCOL, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, MAX_HEADER_LIST_SIZE, NO_RFC7540_PRIORITIES,
    goaway_frame, ping_frame, settings_frame, update_frame,
)
from torana.wire.http2.inbound cimport Inbound
from torana.wire.http2.states cimport ENDED, RESET_BY_US
from torana.wire.http2.streams cimport StreamState
from torana.wire.http2.windows cimport FIRST_WINDOW, new_window

# b"".join without a buffer request for each part; connection.py calls it in the compiled build.
cdef inline bytes joined(list parts):
    cdef Py_ssize_t total = 0
    cdef char* at
    cdef bytes whole
    for part in parts:
        if type(part) is not bytes:
            return b"".join(parts)
        total += PyBytes_GET_SIZE(part)
    whole = PyBytes_FromStringAndSize(NULL, total)
    at = PyBytes_AS_STRING(whole)
    for part in parts:
        memcpy(at, PyBytes_AS_STRING(part), PyBytes_GET_SIZE(part))
        at += PyBytes_GET_SIZE(part)
    return whole

cdef unsigned int _HIGHEST_STREAM

cdef class Http2Connection(Inbound):
    cdef bint _has_connect_protocol
    cdef long long _connection_window

    @cython.locals(held=Py_ssize_t)
    cpdef Py_ssize_t held(self) except -1
    cpdef begin(self, bint is_tight=*)
    cpdef bint is_narrow(self) except -1
    @cython.locals(more="long long")
    cpdef widen(self)
    cpdef receive(self, bytes data, double now)
    cpdef receive_eof(self)
    cpdef tick(self, double now)
    cpdef object next(self)
    @cython.locals(parts=list, frame=bytes, whole=bytes)
    cpdef bytes output(self, Py_ssize_t most)
    cpdef bint has_output(self) except -1
    cpdef bint is_idle(self) except -1
    cpdef shut_down(self)
    cpdef go_away(self)
    @cython.locals(stream=StreamState)
    cpdef fail(self, unsigned int code)
    cpdef ping(self)
    cdef int _send(self, bytes frame) except -1
