cdef double _PACE_S
cdef double _MOST_S

cdef class Sender:
    cpdef leave(self)
    cpdef bint has_kept(self) except -1

cdef class Burst:
    cdef object _items
    cdef object _append
    cdef object _pop
    cdef double _last_s
    cdef double _since_s

    cpdef bint takes(self, double now_s) except -1
    cpdef bint is_empty(self) except -1
    cpdef bint add(self, Sender item, double now_s) except -1
    cpdef bint is_due(self, double now_s) except -1
    cpdef Sender pop(self)
