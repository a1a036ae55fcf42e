cimport cython

from torana.base.endpoints cimport Endpoints
from torana.exchange.request cimport Request
from torana.exchange.response cimport Response
from torana.gateway.aiohttp.connection cimport Call, Home, InnerConnection

cdef class AiohttpGateway(Home):
    cdef public object app
    cdef public object options
    cdef public bytes own_server
    cdef public tuple prefixes
    cdef set _open
    cdef set _leaving
    cdef dict _idle
    cdef Py_ssize_t _idle_count
    cdef double _now
    cdef object _runner
    cdef object _server
    cdef object _turns
    cdef object _context
    cdef object _loop
    cdef double _limit_s
    cdef object _watch

    cpdef bint takes_tunnels(self) except -1
    @cython.locals(endpoints=Endpoints, memo=tuple, connection=InnerConnection, waiting=list, call=Call)
    cpdef answer(self, object request, object response)
    @cython.locals(waiting=list)
    cdef list _waiting_of(self, Endpoints endpoints)
    cpdef over(self, InnerConnection connection, bint is_reusable)
    cpdef is_leaving(self, InnerConnection connection)
    cpdef has_left(self, InnerConnection connection)
    cpdef tick(self, double now_s)
    cdef _forget(self, double before)
