cimport cython

from torana.exchange.request cimport Request
from torana.exchange.response cimport Response
from torana.exchange.roles cimport Gateway
from torana.gateway.wsgi.call cimport Call, Site, new_call

cdef class WsgiGateway(Gateway):
    cdef readonly object pool
    cdef readonly object sockets
    cdef Site _site
    cdef long long _begun
    cdef double _timeout_s
    cdef object _loop
    cdef object _deadlines
    cdef object _starved
    cdef bint _has_said_full

    @cython.locals(call=Call)
    cpdef answer(self, object request, object response)
    @cython.locals(call=Call, site=Site)
    cpdef tick(self, double now_s)
