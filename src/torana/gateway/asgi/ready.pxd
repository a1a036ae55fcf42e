cdef class Ready:
    cdef readonly object value
