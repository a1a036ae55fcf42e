cdef class _Memory:
    cdef object _write
    cdef dict _known
    cdef dict _names
    cdef long long _second
    cdef str _stamp

    cpdef str text(self, bytes raw)
    cpdef str name(self, str text)
    cpdef str stamp(self, double wall_s, object write)
