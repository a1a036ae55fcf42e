cdef class InFlight:
    cdef public long long sockets
    cdef public long long held
    cdef public long long most
    cdef object _starved

    cpdef bint is_crowded(self) except -1
    cpdef bint weigh(self, long long more) except -1
    cpdef starve(self, object socket)
    cdef _feed(self)
