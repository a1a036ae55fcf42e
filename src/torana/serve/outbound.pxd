from torana.exchange.request cimport Request
from torana.exchange.response cimport Response
from torana.net.clock cimport now_s
from torana.net.transport cimport Transport
from torana.serve.ending cimport Ending
from torana.exchange.carrier cimport Carrier, Speaker
from torana.serve.memory cimport FLOOR
from torana.serve.phases cimport BODY, DISCARD, IDLE, OVER
from torana.serve.tunnel cimport Tunnel
from torana.serve.site cimport Site
from torana.wire.http1.connection cimport Http1Connection

cdef class Outbound(Ending):
    cdef _raw_over(self)
    cdef _answered(self)
    cdef _exchange_over(self)
    cdef _cycle(self)
    cdef _await_next(self)
    cdef bint _can_discard(self, Request request) except -1
    cdef _restart_body_clock(self)
