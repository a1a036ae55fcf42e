cimport cython

from torana.base.endpoints cimport Endpoints
from torana.serve.http2.ending cimport Ending
from torana.wire.http2.connection cimport Http2Connection as Wire
from torana.serve.http2.stream cimport Stream, new_stream
from torana.serve.memory cimport FLOOR
from torana.serve.phases cimport CLOSING, LINGER
from torana.wire.events cimport RequestHead
from torana.wire.http2.events cimport Body, Drained, Ended, Opened, Refused, Reset, Sent
from torana.wire.http2.streams cimport StreamState

cdef Py_ssize_t _LARGE_HEAD

cdef class Http2Connection(Ending):
    cdef list _fresh
    cdef long long _requests_left

    cpdef readable(self)
    cpdef received(self, bytes data)
    cpdef drained(self)
    cpdef blocked(self)
    cpdef peer_closed(self)
    @cython.locals(opened=Opened, body=Body, stream=Stream, wire=Wire)
    cdef _take_events(self)
    cdef _tell(self, Stream stream, object kind, object event)
    @cython.locals(stream=Stream)
    cdef _open(self, StreamState state, RequestHead head)
    @cython.locals(stream=Stream)
    cdef _call_applications(self)
    @cython.locals(stream=Stream)
    cdef _end_of_stream(self)
