cimport cython
from cpython.time cimport monotonic as _monotonic

from torana.base.burst cimport Burst, Sender
from torana.exchange.roles cimport Answerer

cdef class Job(Answerer):
    cdef public long long number

    cpdef Sender run(self)

cdef class Place:
    cdef public object lock
    cdef public Burst burst
    cdef public long long done

cdef class JobQueue:
    cdef object _jobs
    cdef object _append
    cdef object _take
    cdef list _sleeping
    cdef bint _is_waking
    cdef public object see_to
    cdef public object lead

    cpdef put(self, object job)
    cpdef wake_one(self)
    cpdef work(self, Place place, object timeout_s)
    @cython.locals(job=Job, item=Sender)
    cdef bint _do_next(self, Place place, object timeout_s) except -1
    cpdef object get(self, Place place, object timeout_s)
    @cython.locals(burst=Burst, now=double)
    cpdef keep(self, Place place, Sender item)
    cdef _wake(self)
    cdef _sleep(self, Place place, timeout_s)
    cdef bint _leave(self, Place place) except -1

@cython.locals(item=Sender)
cpdef let_leave(Burst burst)
cdef _leave(Sender item)
