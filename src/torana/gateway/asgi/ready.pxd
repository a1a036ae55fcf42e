cimport cython

cdef class Done:
    pass

@cython.freelist(64)
cdef class Ready:
    cdef readonly object value

@cython.locals(made=Ready)
cpdef Ready ready(object value)
