cdef class Waiters:
    cdef list _futures

    cpdef add(self)
    cpdef wake(self)
