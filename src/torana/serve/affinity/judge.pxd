cimport cython

from torana.base.endpoints cimport Endpoints
from torana.exchange.request cimport Request
from torana.exchange.response cimport Response
from torana.exchange.roles cimport Witness
from torana.wire.events cimport RequestHead

cdef Py_ssize_t _MOST_KNOWN
cdef Py_ssize_t _MOST_BYTES
cdef int COOKIE
cdef int HEADER
cdef int QUERY
cdef int CLIENT

cdef class Judge:
    cdef public Witness mark
    cdef public object _words
    cdef public Py_ssize_t _at
    cdef public object _version
    cdef int _kind
    cdef bytes _field
    cdef public dict _known

    @cython.locals(said=bytes, wanted=bytes, name=bytes, value=bytes, kind=int, slot=int)
    cpdef int owner_elsewhere(self, RequestHead head, Endpoints endpoints, int hops) except? -2
    cpdef int remember(self, bytes said, int slot) except? -2
    cpdef forget(self)
    cpdef look(self)
    cpdef int decide(self, RequestHead head, Endpoints endpoints, int hops, bytes said) except? -2
    cpdef bint pass_on(self, object connection, int slot, object data) except -1
    cpdef bint relay(self, Request request, Response response, int slot) except -1
