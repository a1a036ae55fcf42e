cdef class Clock:
    cdef public double now
    cdef public bytes date
    cdef public bytes date_line
    cdef double _date_until

    cpdef refresh(self)
