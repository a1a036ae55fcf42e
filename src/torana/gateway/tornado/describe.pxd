cimport cython

from torana.base.endpoints cimport Endpoints
from torana.exchange.request cimport Request
from torana.wire.events cimport RequestHead

cdef class Describer:
    cdef str _root
    cdef str _mount
    cdef bint _is_mounted
    cdef bint _knows_prefix
    cdef dict _names

    @cython.locals(method=str, target=str)
    cpdef object start_line(self, RequestHead head)
    @cython.locals(fields=list)
    cpdef object fields(self, RequestHead head)
    @cython.locals(endpoints=Endpoints, memo=tuple)
    cpdef object context(self, Request request)
    @cython.locals(names=dict, key=str, text=str, name=bytes, value=bytes, count=Py_ssize_t)
    cdef object _headers(self, list fields)
    cdef _add(self, object made, str key, str text)
    cdef str _learn(self, bytes name)
    cdef str _mounted(self, str target)

cpdef str below(str target, str prefix)
