cimport cython

from torana.exchange.duplex cimport Duplex
from torana.exchange.roles cimport Answerer, Link
from torana.exchange.states cimport CLOSED, OPEN
from torana.net.clock cimport Clock
from torana.exchange.carrier cimport Carrier, Speaker, Upgradable
from torana.serve.memory cimport Memory, Share
from torana.serve.site cimport Site
from torana.wire.websocket.connection cimport Closed, WebSocketConnection

cdef int _MOST_A_TURN

cdef class WebSocket(Link):
    cdef public Site site
    cdef public Clock clock
    cdef public Duplex duplex
    cdef public Carrier carrier
    cdef public bint has_ended
    cdef Upgradable _channel
    cdef object _offer
    cdef WebSocketConnection _wire
    cdef Memory _memory
    cdef Share _share
    cdef bint _is_over
    cdef bint _is_shed
    cdef bint _is_handing_on
    cdef int _left_of_turn
    cdef bint _is_paused
    cdef public bint is_starved
    cdef bint _is_heard
    cdef double _ping_at
    cdef double _pong_by
    cdef double _message_by
    cdef double _close_by
    cdef double _began
    cdef long long _arrived
    cdef double _last_arrival

    @cython.locals(size=Py_ssize_t, frame=bytes, head=bytes, wire=WebSocketConnection, carrier=Carrier)
    cpdef send(self, object data)
    @cython.locals(wire=WebSocketConnection, now=double)
    cpdef received(self, bytes data)
    cpdef go_on(self)
    @cython.locals(answerer=Answerer)
    cpdef drained(self)
    cpdef lost(self)
    cpdef expired(self, double now)
    @cython.locals(duplex=Duplex, answerer=Answerer)
    cpdef stop(self)
    cpdef Py_ssize_t holding(self) except -1
    cpdef long long moved(self) except? -1
    cpdef bint shed(self) except -1
    cpdef bint feed(self) except -1
    @cython.locals(duplex=Duplex, wire=WebSocketConnection)
    cdef _hand_on(self)
    @cython.locals(wire=WebSocketConnection, held=Py_ssize_t, memory=Memory, share=Share)
    cdef _follow(self)
    cdef _put_out(self)
    cdef _read_on(self)
    cdef _resume(self)
    cdef bint _look_at_message(self, double now) except -1
    cdef _close_received(self, Closed event)
    cdef _fail(self, int code, str reason, int told)
    cpdef finish(self, int code, str reason)
    cdef _end(self)
    cdef _note(self, str reason, str setting)
    cdef _arm(self)

cdef class Voice(Speaker):
    cdef WebSocket _socket
