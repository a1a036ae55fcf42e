cimport cython

from torana.exchange.request cimport Request
from torana.exchange.response cimport Response
from torana.gateway.tornado.answer cimport Answer
from torana.gateway.tornado.describe cimport Describer

cdef class Call(Answer):
    cdef object _context
    cdef object _delegate
    cdef object _survivor
    cdef bint _is_inside
    cdef bint _is_waiting
    cdef bint _is_delivered
    cdef bint _is_told
    cdef bint _is_stopped
    cdef public double deadline
    cdef public long long seen
    cdef object __weakref__

    cpdef begin(self, object gateway, Request request, Response response, object context)
    cpdef start(self)
    cpdef give_up(self, int status)
    cpdef handler(self)
    cpdef bint is_client_awaited(self) except -1
    cpdef _start(self)
    cpdef _deliver(self)
    cdef _finish_delegate(self)
    cdef bint _is_too_large(self) except -1
    cdef bint _wait(self, object awaited) except -1
    cpdef _waited(self, object future)
    cdef _enter(self, object step)
    cdef _failed(self, object error)
    cdef _refuse(self, int status)
    cdef _tell(self)
    cdef _outlive(self)
    cpdef look(self)
    cpdef _forgotten(self, object survivor)
    cdef _closing(self)

@cython.locals(made=Call)
cpdef Call new_call(object gateway, Request request, Response response)
