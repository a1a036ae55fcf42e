cimport cython
from cpython.time cimport monotonic as _monotonic

@cython.locals(seconds=double)
cpdef double now_s() except -1.0
