cdef class Place:
    cdef public object lock

cdef class JobQueue:
    cdef object _jobs
    cdef list _sleeping
    cdef bint _is_waking

    cdef _wake(self)
    cdef _sleep(self, Place place, timeout_s)
    cdef bint _leave(self, Place place) except -1
