cimport cython

from torana.exchange.request cimport Request
from torana.exchange.response cimport Response
from torana.exchange.roles cimport Gateway
from torana.gateway.asgi.answer cimport Answer, new_answer
from torana.gateway.asgi.body cimport Body, new_body
from torana.gateway.asgi.conversation cimport WebSocketCall
from torana.gateway.asgi.describe cimport Describer
from torana.gateway.eager cimport start, start_waiting
from torana.gateway.steps cimport Steps

cdef class HttpCall

cdef class AsgiGateway(Gateway):
    cdef public object app
    cdef public object options
    cdef public object error_page
    cdef public bint is_debug
    cdef public Describer describer
    cdef public set calls
    cdef public set conversations
    cdef object _lifespan
    cdef object _context
    cdef object _loop
    cdef object _make_task
    cdef object _watch
    cdef double _limit_s

    @cython.locals(call=HttpCall)
    cpdef answer(self, object request, object response)
    cpdef bint takes_conversations(self) except -1
    @cython.locals(call=WebSocketCall)
    cpdef converse(self, object duplex)
    cdef object _start(self, Steps call, bint is_conversation)
    cpdef tick(self, double now_s)

cdef class HttpCall(Steps):
    cdef public AsgiGateway gateway
    cdef public Request request
    cdef public Response response
    cdef public Body body
    cdef public Answer reply
    cdef public object task
    cdef public double limit_s
    cdef public double deadline
    cdef public long long seen
    cdef bint _is_stopped

    cpdef begin(self, AsgiGateway gateway, Request request, Response response)
    cdef Body _body(self)
    cdef object _failed(self, object error)
    cdef _left_open(self)
    cdef _answer_error(self, object error)
