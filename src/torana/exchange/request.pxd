cimport cython

from torana.base.endpoints cimport Endpoints
from torana.exchange.roles cimport Answerer, Channel
from torana.wire.events cimport RequestHead

cdef Py_ssize_t _MOST_PIECES

cdef class Request:
    cdef public RequestHead head
    cdef public Endpoints endpoints
    cdef public Channel channel
    cdef public Answerer answerer
    cdef public long long received
    cdef public Py_ssize_t buffered
    cdef public bint is_ended
    cdef public bint is_broken
    cdef public list trailers
    cdef object _pieces
    cdef long long _body_limit
    cdef Py_ssize_t _read_ahead

    cpdef begin(
        self, RequestHead head, Endpoints endpoints, Channel channel, long long body_limit, Py_ssize_t read_ahead
    )
    @cython.locals(size=Py_ssize_t, answerer=Answerer)
    cpdef push(self, bytes data)
    @cython.locals(answerer=Answerer)
    cpdef end(self, list trailers)
    @cython.locals(answerer=Answerer)
    cpdef lose(self)
    @cython.locals(answerer=Answerer)
    cpdef vanish(self)
    cpdef bytes take(self)
    cpdef tighten(self)
    cpdef bint is_full(self) except -1

@cython.locals(made=Request)
cpdef Request new_request(
    RequestHead head, Endpoints endpoints, Channel channel, long long body_limit, Py_ssize_t read_ahead
)
