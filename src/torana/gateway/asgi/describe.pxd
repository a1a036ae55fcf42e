cimport cython

from torana.base.endpoints cimport Endpoints
from torana.exchange.duplex cimport Duplex
from torana.exchange.request cimport Request
from torana.wire.events cimport RequestHead

cpdef str path_of(bytes raw_path, str root_path)

cdef class Describer:
    cdef str _root_path
    cdef str _mounted_at
    cdef dict _state
    cdef bint _is_debug
    cdef bint _offers_files
    cdef dict _asgi
    cdef dict _template

    @cython.locals(head=RequestHead, endpoints=Endpoints, extensions=dict, scope=dict, is_plain=bint)
    cpdef dict http_scope(self, Request request)

    @cython.locals(request=Request, head=RequestHead, endpoints=Endpoints, extensions=dict, scope=dict)
    cpdef dict websocket_scope(self, Duplex duplex)

    @cython.locals(memo=tuple, template=dict)
    cdef dict _template_of(self, Endpoints endpoints)
