cimport cython

from torana.base.endpoints cimport Endpoints
from torana.exchange.request cimport Request
from torana.exchange.response cimport Response
from torana.net.clock cimport Clock
from torana.net.transport cimport Transport
from torana.serve.account cimport Account
from torana.exchange.carrier cimport Upgradable
from torana.serve.memory cimport FLOOR, Share
from torana.serve.phases cimport BODY, CLOSING, DISCARD, FRESH, HEAD, IDLE, LINGER, OVER
from torana.serve.site cimport Site
from torana.wire.http1.connection cimport Http1Connection

cdef class Ending(Upgradable):
    cdef public Transport transport
    cdef public Site site
    cdef public Endpoints endpoints
    cdef public object crowd
    cdef public Http1Connection wire
    cdef public Clock clock
    cdef public Request request
    cdef public Response response
    cdef public int phase
    cdef public long long served
    cdef public bint is_surplus
    cdef public bint is_http2_only
    cdef public bint is_relay
    cdef public int hops
    cdef object _seen
    cdef bytes _held
    cdef bint _is_advancing
    cdef bint _is_answered
    cdef bint _is_aborted
    cdef bint _is_returned
    cdef bint _is_handed_over
    cdef bint _has_peer_closed
    cdef bint _is_eof
    cdef bint _is_full_read
    cdef object _raw
    cdef Py_ssize_t _discarded
    cdef long long _left_to_take
    cdef double _phase_started
    cdef double _last_arrival
    cdef long long _phase_bytes
    cdef double _read_deadline
    cdef Share _share
    cdef Py_ssize_t _head_size
    cdef Py_ssize_t _spooled
    cdef public bint is_starved
    cdef public Account account

    cpdef lost(self)
    cpdef refuse(self, error)
    cdef _overloaded(self)
    cpdef expired(self, double now)
    cdef _read_expired(self, double now)
    cdef _cut(self)
    cpdef _close_politely(self, bint is_refused=*)
    cdef _linger_or_close(self)
    cdef _throw_away(self, Py_ssize_t size)
    cdef _linger_on(self)
    cpdef double waiting_since(self, bint has_heads) except -1
    cpdef bint close_if_idle(self, double before) except -1
    cpdef list doing(self)
    cpdef evict(self)
    cpdef stop(self)
    cpdef kill(self)
    cpdef forsake(self)
    cdef _leave(self)
    @cython.locals(held=Py_ssize_t, request=Request)
    cpdef Py_ssize_t holding(self) except -1
    @cython.locals(request=Request)
    cpdef long long moved(self) except? -1
    cpdef bint feed(self) except -1
    cpdef bint shed(self) except -1
    cdef _weigh(self)
    @cython.locals(share=Share)
    cdef _unburden(self)
    cpdef leave_unlogged(self)
    cdef _record(self, int status)
    cdef _arm(self)
    cdef _advance(self)
