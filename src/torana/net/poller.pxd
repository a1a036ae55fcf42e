cimport cython

from torana.base.burst cimport Burst, Sender
from torana.net.clock cimport Clock, now_s

cdef int READ
cdef int WRITE
cdef int ERROR
cdef int HANGUP
cdef int PEER_CLOSED

cdef double _BULK_S

cdef class Watched(Sender):
    cdef public int fd
    cdef public double deadline
    cdef public bint is_last
    cdef public bint is_bulky
    cdef public bint is_queued

    cpdef ready(self, int events)
    cpdef expired(self, double now)
    cpdef woken(self)
    cpdef failed(self)

cdef class Poller:
    cdef public Clock clock
    cdef public double tick_s
    cdef public list on_tick
    cdef public object after_batch
    cdef list _table
    cdef object _woken
    cdef object _last
    cdef object _bulky
    cdef Burst _burst
    cdef public object _loop
    cdef object _timer
    cdef double _sweep_due
    cdef bint _is_last_coming

    @cython.locals(burst=Burst, now=double)
    cpdef bint keeps(self, Watched watched) except -1
    @cython.locals(sender=Sender)
    cpdef _let_leave(self)
    cpdef watch(self, Watched watched, int events)
    cpdef change(self, Watched watched, int events)
    cpdef forget(self, Watched watched)
    @cython.locals(watched=Watched, fd=int, events=int, size=Py_ssize_t, table=list, last=list)
    cpdef serve(self, list batch)
    @cython.locals(watched=Watched, events=int, end=double)
    cpdef _serve_bulky(self)
    cdef _tell_ready(self, Watched watched, int events)
    @cython.locals(watched=Watched, index=Py_ssize_t)
    cpdef _expire(self, double now)

cdef class EpollPoller(Poller):
    cdef object _epoll
    cdef object _poll
