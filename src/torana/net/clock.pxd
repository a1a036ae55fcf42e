cimport cython
from cpython.time cimport monotonic as _monotonic

@cython.locals(seconds=double)
cpdef double now_s() except -1.0

cdef class Clock:
    cdef public double now
    cdef public bytes date
    cdef public bytes date_line
    cdef double _date_until

    cpdef refresh(self)
