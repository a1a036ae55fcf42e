cimport cython

from torana.exchange.response cimport KnownHead, Response

cdef class KnownHeads:
    cdef object _kind
    cdef dict _heads
    cdef set _met
    cdef tuple _last

    @cython.locals(last=tuple, key=tuple, head=KnownHead)
    cpdef KnownHead find(self, object headers)
    @cython.locals(key=tuple, head=KnownHead)
    cpdef note(self, object headers, Response response)

@cython.locals(count=Py_ssize_t, index=Py_ssize_t)
cdef bint _are_same(list headers, tuple items) except -1
