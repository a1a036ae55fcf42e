cimport cython

from torana.base.endpoints cimport Endpoints
from torana.exchange.request cimport Request
from torana.exchange.response cimport Response
from torana.gateway.inner_http1 cimport InnerExchange, Pipe
from torana.wire.http1.client cimport ResponseReader

cdef class InnerConnection
cdef class Call

cdef class InnerTransport:
    cdef object __weakref__
    cdef public InnerConnection connection
    cdef public Endpoints endpoints
    cdef public bint is_paused
    cdef public bint is_closed

    cpdef write(self, object data)
    cpdef bint is_closing(self) except -1

cdef class InnerConnection(Pipe):
    cdef public object gateway
    cdef public object protocol
    cdef public object key
    cdef public object tls
    cdef public InnerTransport transport
    cdef public Call exchange
    cdef public double since
    cdef public bint is_writing_paused
    cdef public bint is_lost
    cdef public object task
    cdef object _loop

    cpdef bint is_ready(self) except -1
    cpdef bint is_waiting(self) except -1
    cpdef left(self)
    cpdef resumed(self)

cdef class Call(InnerExchange):
    cdef public InnerConnection connection
    cdef public double limit_s
    cdef public double deadline
    cdef public double looked
    cdef public long long seen
    cdef public object frames
    cdef bint _is_told

    cpdef begin(self, Request request, Response response, double limit_s)
    cpdef end_with(self, int status)
    cpdef bint is_left_open(self) except -1
