cimport cython

from torana.base.burst cimport Burst

cdef class Place:
    cdef public object lock
    cdef public Burst burst

cdef class JobQueue:
    cdef object _jobs
    cdef list _sleeping
    cdef bint _is_waking
    cdef public object see_to

    @cython.locals(burst=Burst, now=double)
    cdef _keep(self, Place place, object item)
    cdef _wake(self)
    cdef _sleep(self, Place place, timeout_s)
    cdef bint _leave(self, Place place) except -1

cpdef let_leave(Burst burst)
cdef _leave(object item)
