from torana.exchange.request cimport Request
from torana.exchange.response cimport Response
from torana.net.clock cimport Clock
from torana.net.transport cimport Transport
from torana.serve.account cimport Account
from torana.exchange.carrier cimport Carrier, Speaker
from torana.serve.memory cimport FLOOR, Share
from torana.serve.site cimport Site

cimport cython

cdef int _READS
cdef double _SPARED_S

cdef class Tunnel(Carrier):
    cdef public Transport transport
    cdef public Site site
    cdef public object crowd
    cdef public Clock clock
    cdef public Request request
    cdef public Response response
    cdef public Speaker speaker
    cdef Account _account
    cdef bytes _rest
    cdef double _look_at
    cdef bint _is_spared
    cdef bint _is_called_back
    cdef bint _is_finishing
    cdef bint _is_lingering
    cdef bint _has_left
    cdef bint _is_told
    cdef double _tell_at
    cdef Py_ssize_t _discarded
    cdef long long _left_to_take
    cdef Py_ssize_t _read_bytes
    cdef Share _share
    cdef public bint is_starved

    @cython.locals(data=bytes, size=Py_ssize_t, transport=Transport)
    cpdef readable(self)
    cpdef drained(self)
    cpdef blocked(self)
    cpdef peer_closed(self)
    cpdef woken(self)
    cpdef lost(self)
    @cython.locals(transport=Transport)
    cpdef expired(self, double now)
    cpdef double waiting_since(self, bint has_heads) except -1
    cpdef evict(self)
    cpdef bint close_if_idle(self, double before) except -1
    cpdef list doing(self)
    cpdef stop(self)
    cpdef kill(self)
    cpdef forsake(self)
    cpdef Py_ssize_t holding(self) except -1
    cpdef long long moved(self) except? -1
    cpdef bint feed(self) except -1
    cpdef bint shed(self) except -1
    cdef _tell(self)
    cdef _hand_on_rest(self)
    cdef _end_of_stream(self)
    cdef _throw_away(self, Py_ssize_t size)
    cdef _linger(self)
    cdef _linger_on(self)
    cdef _close(self)
    cdef _gone(self)
    cdef _leave(self)
    @cython.locals(deadline=double, transport=Transport, share=Share)
    cdef _arm(self)
