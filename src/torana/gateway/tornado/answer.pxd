cimport cython

from torana.base.headers cimport is_field_value
from torana.exchange.request cimport Request
from torana.exchange.response cimport Response
from torana.exchange.roles cimport Answerer
from torana.exchange.states cimport CUT, IDLE
from torana.gateway.tornado.stream cimport Stream

cdef class Answer(Answerer):
    cdef public object gateway
    cdef public Request request
    cdef public Response response
    cdef public object context
    cdef public bint no_keep_alive
    cdef public bint is_finished
    cdef public bint is_ended
    cdef bint _is_upgraded
    cdef Stream _stream
    cdef list _waiters
    cdef object _close_callback
    cdef object _handler
    cdef long long _most_body

    cpdef begin(self, object gateway, Request request, Response response, object context)
    cpdef bint is_gone(self) except -1
    cpdef end(self)
    @cython.locals(fields=list)
    cdef list _fields(self, object headers)
    @cython.locals(request=Request, stream=Stream)
    cdef _upgrade(self, object headers)
    cdef object _sent(self)
    cdef object _closed(self)
    cdef _resolve(self)
    cdef _fail_waiters(self)
    cdef _break_off(self, object error)
    cpdef _answer(self, int status, object page)

cdef bytes _reason(object phrase)
