from torana.base.endpoints cimport Endpoints
from torana.net.outlet cimport FilePiece
from torana.net.poller cimport ERROR, HANGUP, PEER_CLOSED, READ, WRITE
from torana.net.seal cimport Seal
from torana.net.transport cimport Transport

cdef class LatePiece(FilePiece):
    cdef readonly bytes data

cdef class TlsTransport(Transport):
    cdef object _contexts
    cdef Endpoints _endpoints
    cdef public bint is_shaking
    cdef Seal _seal
    cdef double _owner_deadline
    cdef bint _is_raw
    cdef bytes _flight
    cdef object _early

    cpdef bint _has_inside(self) except -1
    cpdef _shake(self)
    cpdef _agree(self, Seal seal)
    cpdef bint _begin(self) except -1
    cpdef _fly(self, bytes data)
    cpdef _refuse_plain(self, bytes first)
    cpdef _fail(self, str reason)
    cpdef _say(self, bytes word)
    cpdef bytes _sealed(self, object data)
    cpdef _notify_close(self)
