cdef class InFlight:
    cdef public long long sockets
    cdef public long long held
    cdef public long long most
    cdef public object favoured
    cdef object _starved

    cpdef bint is_crowded(self) except -1
    cpdef weigh(self, long long more)
    cpdef bint may_grow(self, object socket) except -1
    cpdef bint has_starved(self) except -1
    cpdef done(self, object socket)
    cdef _feed(self)
