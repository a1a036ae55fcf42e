cimport cython

from torana.net.transport cimport Transport
from torana.serve.http2.session cimport Session
from torana.serve.http2.stream cimport Stream
from torana.serve.memory cimport FLOOR
from torana.serve.phases cimport CLOSING, LINGER, OVER

cdef class Ending(Session):
    cdef double _since
    cdef double _last_arrival
    cdef double _idle_since
    cdef long long _received_bytes
    cdef double _partial_since
    cdef long long _partial_at
    cdef double _pinged_at
    cdef int _farewell
    cdef double _farewell_at
    cdef bint _is_farewell_pinged
    cdef bint _has_peer_closed
    cdef Py_ssize_t _discarded
    cdef double _linger_until

    @cython.locals(at=double)
    cpdef opened(self)
    cpdef emptied(self)
    cpdef lost(self)
    cpdef begin_to_leave(self)
    @cython.locals(stream=Stream)
    cdef _look_at_streams(self, double now)
    cdef _look_at_client(self, double now)
    cdef bint _is_head_too_slow(self, double now) except -1
    cdef _arm(self)
    @cython.locals(transport=Transport, is_heard=bint)
    cdef _flushed(self)
    @cython.locals(stream=Stream)
    cdef _give_up_the_rest(self)
    cdef _ponged(self)
    cdef _go_on_leaving(self, double now)
    cdef _say_the_last(self)
    cdef _close_when_idle(self)
    cdef _close_politely(self)
    cdef _linger(self)
    cdef _throw_away(self, Py_ssize_t size)
    @cython.locals(stream=Stream)
    cdef _lose_streams(self)
    cdef _leave(self)
    cdef _failed_by_client(self, object error)
    cpdef double waiting_since(self, bint has_heads) except -1
    cpdef evict(self)
    cpdef bint close_if_idle(self, double before) except -1
    cpdef list doing(self)
    cpdef stop(self)
    cpdef kill(self)
    cpdef forsake(self)
    cdef _note(self, str reason, str setting)
