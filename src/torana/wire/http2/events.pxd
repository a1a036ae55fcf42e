cimport cython

from torana.wire.events cimport RequestHead
from torana.wire.http2.streams cimport StreamState

cdef class StreamEvent:
    cdef readonly StreamState stream

cdef class Opened(StreamEvent):
    cdef readonly RequestHead head

cdef class Body(StreamEvent):
    cdef readonly bytes data
    cdef readonly Py_ssize_t size

cdef class Ended(StreamEvent):
    cdef readonly list trailers

cdef class Reset(StreamEvent):
    cdef readonly long long code
    cdef readonly bint is_ours
    cdef readonly str reason
    cdef readonly str setting

cdef class Refused(StreamEvent):
    cdef readonly int status
    cdef readonly long long code
    cdef readonly str reason
    cdef readonly str setting

cdef class Drained(StreamEvent):
    pass

cdef class Sent(StreamEvent):
    pass

@cython.locals(event=Opened)
cpdef Opened opened(StreamState stream, RequestHead head)
@cython.locals(event=Body)
cpdef Body body(StreamState stream, bytes data, Py_ssize_t size)
@cython.locals(event=Ended)
cpdef Ended ended(StreamState stream, list trailers)
@cython.locals(event=Reset)
cpdef Reset reset(StreamState stream, long long code, bint is_ours, str reason, str setting)
@cython.locals(event=Refused)
cpdef Refused refused(StreamState stream, int status, long long code, str reason, str setting)
@cython.locals(event=Drained)
cpdef Drained drained(StreamState stream)
@cython.locals(event=Sent)
cpdef Sent sent(StreamState stream)
