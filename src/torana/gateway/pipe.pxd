cdef class Pipe:
    cpdef write(self, bytes data)
    cpdef set_reading(self, bint is_reading)
    cpdef bint is_full(self) except -1
    cpdef close(self)
    cpdef abort(self)
