cimport cython

from torana.base.endpoints cimport Endpoints
from torana.exchange.request cimport Request, new_request
from torana.exchange.response cimport Response, new_response
from torana.net.transport cimport Transport
from torana.serve.handshake cimport converse
from torana.serve.memory cimport FLOOR
from torana.serve.outbound cimport Outbound
from torana.serve.phases cimport ANSWER, BODY, CLOSING, DISCARD, FRESH, HEAD, IDLE, LINGER, OVER
from torana.serve.site cimport Site
from torana.wire.events cimport EndOfBody, RequestHead

cdef int _REST_BYTES

cdef class Connection(Outbound):
    cpdef readable(self)
    cpdef drained(self)
    cpdef blocked(self)
    cpdef peer_closed(self)
    cpdef woken(self)
    cpdef agreed(self, str protocol)
    cdef bytes _begin_to_speak(self, bytes data)
    cdef _become_http2(self)
    cdef _remember(self, bytes data)
    cpdef pass_over(self)
    cpdef resume(self, bytes data)
    @cython.locals(missing=cython.longlong, rest=bytes)
    cdef _fetch_rest(self, RequestHead head)
    @cython.locals(owner=int, size=Py_ssize_t)
    cdef _begin(self, RequestHead head)
    @cython.locals(request=Request)
    cdef bint _body(self, bytes data) except -1
    cdef _body_complete(self, object trailers)
    @cython.locals(request=Request)
    cdef _paused(self)
    cdef _need_data(self)
    cdef _end_of_stream(self)
    cdef bint _has_rest(self, Request request) except -1
