cimport cython

from torana.base.endpoints cimport Endpoints
from torana.exchange.request cimport Request
from torana.wire.events cimport RequestHead

cdef class Describer:
    cdef object _template_of
    cdef str _root
    cdef str _mounted
    cdef bint _is_mounted
    cdef dict _keys

    @cython.locals(head=RequestHead, environ=dict, target=bytes, raw_path=bytes, uri=str, path=str)
    cpdef dict environ(self, Request request, long long body_bytes)
    cdef dict _template(self, Endpoints endpoints)
    @cython.locals(keys=dict, name=bytes, value=bytes, key=str, text=str, count=Py_ssize_t)
    cdef _put_fields(self, dict environ, list fields)
    cdef str _joined(self, str key, str held, str text)
    cdef str _learn(self, bytes name)

@cython.locals(rest=str)
cdef str _below(str path, str mount)
