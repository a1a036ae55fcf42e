cimport cython

from torana.exchange.request cimport Request
from torana.exchange.response cimport Response
from torana.gateway.asgi.ready cimport ready
from torana.gateway.asgi.waiters cimport Waiters

cdef class Body:
    cdef Request _request
    cdef Response _response
    cdef Waiters _waiters
    cdef bint _is_end_told
    cdef bint _is_stopped
    cdef public bint is_timed
    cdef int _waiting
    cdef double _since_s
    cdef double _waited_s

    cpdef begin(self, Request request, Response response)
    cpdef wake(self)
    cpdef stop(self)
    cpdef double waited_s(self, double now) except? -1
    cdef _begin_to_wait(self)
    cdef _end_to_wait(self)
    cdef dict _next(self)

@cython.locals(made=Body)
cpdef Body new_body(Request request, Response response)
