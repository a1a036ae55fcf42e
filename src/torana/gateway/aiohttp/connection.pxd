cimport cython

from torana.base.endpoints cimport Endpoints
from torana.exchange.request cimport Request
from torana.exchange.response cimport Response
from torana.exchange.roles cimport Gateway
from torana.gateway.aiohttp.message cimport Memory, plain_message
from torana.gateway.aiohttp.turn cimport Turns
from torana.gateway.aiohttp.writer cimport fields_of
from torana.gateway.inner_http1 cimport InnerExchange
from torana.gateway.pipe cimport Pipe
from torana.wire.events cimport RequestHead
from torana.wire.http1.client cimport ResponseReader

cdef class InnerConnection
cdef class Call

cdef class Home(Gateway):
    cpdef over(self, InnerConnection connection, bint is_reusable)
    cpdef is_leaving(self, InnerConnection connection)
    cpdef has_left(self, InnerConnection connection)

cdef class InnerTransport:
    cdef object __weakref__
    cdef public InnerConnection connection
    cdef public Endpoints endpoints
    cdef public bint is_paused
    cdef public bint is_closed

    cpdef write(self, object data)
    @cython.locals(exchange=Call, keep_alive=bint)
    cpdef bint answer_whole(self, int status, bytes reason, object headers, bytes body) except -1
    cpdef bint is_closing(self) except -1

cdef class InnerConnection(Pipe):
    cdef public Home home
    cdef public object protocol
    cdef public list waiting
    cdef public InnerTransport transport
    cdef public Call exchange
    cdef public double since
    cdef public bint is_writing_paused
    cdef public bint is_lost
    cdef public object task
    cdef public Turns turns
    cdef Memory _memory
    cdef public bint has_turn
    cdef object _waiting_task
    cdef bint _has_written
    cdef bint _is_reusable
    cdef object _loop

    cpdef bint is_ready(self) except -1
    cpdef bint is_waiting(self) except -1
    @cython.locals(turns=Turns, head=RequestHead, call=Call, is_head=bint)
    cpdef bint take(self, Request request, Response response) except -1
    cpdef turn_over(self)
    cpdef answered(self, bint is_reusable)
    cpdef left(self)
    cpdef resumed(self)

cdef class Call(InnerExchange):
    cdef public InnerConnection connection
    cdef public double limit_s
    cdef public double deadline
    cdef public double looked
    cdef public long long seen
    cdef public object frames
    cdef public bint is_last
    cdef bint _is_told

    cpdef say_over(self, bint is_reusable)
    @cython.locals(head=RequestHead)
    cpdef begin(self, Request request, Response response, double limit_s)
    cpdef end_with(self, int status)
    cpdef bint is_left_open(self) except -1
