cimport cython

cdef Py_ssize_t FLOOR
cdef Py_ssize_t _STEP
cdef double _LEAST_RATE

@cython.final
cdef class Share:
    cdef public object owner
    cdef public long long held
    cdef public bint is_shed
    cdef public long long moved
    cdef public double seen_s
    cdef public double rate

    cpdef double burden(self) except -1

cdef class Memory:
    cdef public long long limit
    cdef public long long most
    cdef public long long held
    cdef public bint is_tight
    cdef public long long shed
    cdef public long long sockets
    cdef public object favoured
    cdef public long long spooled
    cdef public long long spool_limit
    cdef set _shares
    cdef object _starved
    cdef long long _look_at
    cdef double _tight_since
    cdef double _favoured_since
    cdef object _lock

    @cython.locals(more="long long")
    cpdef Share weigh(self, Share share, object owner, long long held)
    @cython.locals(held="long long")
    cpdef drop(self, Share share)
    cpdef bint is_crowded(self) except -1
    cpdef bint may_grow(self, object owner) except -1
    cpdef bint has_starved(self) except -1
    cpdef done(self, object owner)
    cdef _feed(self)
    cdef _change(self, long long more)
    cdef _reclaim(self)
    @cython.locals(held="long long", share=Share)
    cdef _count(self)
    @cython.locals(share=Share)
    cdef _close_until(self, long long held)
    @cython.locals(share=Share)
    cpdef look(self, double now_s)
    cpdef bint spool(self, long long more) except -1

cpdef tuple _rank(Share share)
@cython.locals(moved="long long", elapsed=double)
cdef _observe(Share share, double now_s)
