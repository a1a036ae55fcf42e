from torana.exchange.request cimport Request
from torana.exchange.response cimport Response
from torana.gateway.asgi.ready cimport Ready
from torana.gateway.asgi.waiters cimport Waiters

cdef class Body:
    cdef Request _request
    cdef Response _response
    cdef Waiters _waiters
    cdef bint _is_end_told
    cdef bint _is_stopped

    cpdef wake(self)
    cpdef stop(self)
    cdef dict _next(self)
