cimport cython

from torana.exchange.response cimport KnownHead, Response

cdef class KnownHeads:
    cdef object _kind
    cdef dict _heads
    cdef set _met

    cpdef KnownHead find(self, object headers)
    @cython.locals(key=tuple, head=KnownHead)
    cpdef note(self, object headers, Response response)
