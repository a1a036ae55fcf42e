cimport cython

cdef Py_ssize_t SMALL_FRAME

@cython.final
cdef class Bucket:
    cdef double _most
    cdef double _rate
    cdef double _left
    cdef double _since

    cpdef bint take(self, double now, double count) except -1
    cpdef int give(self, double count) except -1
