from torana.exchange.request cimport Request
from torana.exchange.roles cimport Gateway

cdef class HealthGateway(Gateway):
    cdef bytes _path
    cdef Gateway _gateway
    cdef public bint is_ready

    cpdef bint is_asked(self, Request request) except -1
