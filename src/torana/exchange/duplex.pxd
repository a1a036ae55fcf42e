cimport cython

from torana.base.headers cimport is_field_value, is_token, lower
from torana.exchange.request cimport Request
from torana.exchange.response cimport Response
from torana.exchange.roles cimport Answerer, Link
from torana.exchange.states cimport (
    ACCEPT, CLOSE, CLOSED, CONNECTING, DENY, DENYING, GONE, ILLEGAL, OPEN, SEND, after_in_conversation,
)

cdef class Duplex:
    cdef public Request request
    cdef public Response response
    cdef public Link link
    cdef public list subprotocols
    cdef public Answerer answerer
    cdef public int state
    cdef public int code
    cdef public str reason
    cdef public Py_ssize_t buffered
    cdef object _next
    cdef object _messages
    cdef Py_ssize_t _queue_bytes

    cpdef accept(self, str subprotocol, object fields)
    cpdef deny(self, int status, object fields)
    cpdef refuse(self, object data, bint is_last)
    cpdef send(self, object data)
    cpdef close(self, int code, str reason)
    cpdef take(self)
    @cython.locals(answerer=Answerer)
    cpdef push(self, object message)
    cpdef bint is_full(self) except -1
    @cython.locals(answerer=Answerer)
    cpdef lose(self, int code, str reason)
    cdef int _after(self, int act, str complaint) except -1
    cdef list _checked(self, object fields)
