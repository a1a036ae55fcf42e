cimport cython

from torana.base.endpoints cimport Endpoints
from torana.net.clock cimport Clock
from torana.net.poller cimport Poller, Watched
from torana.net.transport cimport Transport
from torana.serve.memory cimport FLOOR, Memory, Share
from torana.serve.phases cimport CLOSING, FRESH, OVER
from torana.serve.site cimport Site
from torana.wire.http2.connection cimport Http2Connection as Wire

cdef class Session(Watched):
    cdef public Transport transport
    cdef public Site site
    cdef public Endpoints endpoints
    cdef public object crowd
    cdef public Clock clock
    cdef public Poller poller
    cdef public Wire wire
    cdef public dict streams
    cdef public int phase
    cdef public bint is_surplus
    cdef public bint is_busy
    cdef bint _is_flushing
    cdef bint _is_kept
    cdef double _kept_since
    cdef int _kept_count
    cdef object _posted
    cdef bint _is_woken
    cdef Share _share
    cdef public Py_ssize_t kept
    cdef public bint is_starved

    cpdef schedule(self)
    @cython.locals(rounds=int, data=bytes, transport=Transport, wire=Wire)
    cpdef flush(self)
    cpdef post(self, object stream)
    cpdef post_last(self, object stream)
    cpdef Py_ssize_t holding(self) except -1
    @cython.locals(transport=Transport)
    cpdef long long moved(self) except? -1
    cpdef bint feed(self) except -1
    cpdef bint shed(self) except -1
    @cython.locals(memory=Memory, share=Share, arriving="long long")
    cpdef weigh(self)
    @cython.locals(share=Share)
    cpdef unburden(self)
    cpdef emptied(self)
    cpdef opened(self)
    cpdef lost(self)
    cdef _take_events(self)
    cdef _flushed(self)
