from torana.exchange.duplex cimport Duplex
from torana.exchange.request cimport Request
from torana.exchange.response cimport Response
from torana.exchange.roles cimport Answerer
from torana.net.clock cimport Clock
from torana.exchange.carrier cimport Upgradable
from torana.serve.site cimport Site

cpdef bint converse(Upgradable channel, Request request, Response response, Site site, Clock clock) except -1

cdef class Handshake(Answerer):
    cdef Duplex _duplex
