from torana.base.endpoints cimport Endpoints
from torana.net.outlet cimport FilePiece
from torana.net.poller cimport ERROR, HANGUP, PEER_CLOSED, READ, WRITE
from torana.net.transport cimport Transport

cdef class TlsTransport(Transport):
    cdef object _contexts
    cdef Endpoints _endpoints
    cdef public bint is_shaking
    cdef object _secured
    cdef object _tls
    cdef object _read
    cdef object _send
    cdef double _owner_deadline
    cdef bint _is_raw
    cdef bint _read_wants_write
    cdef bint _write_wants_read
    cdef bint _has_more
    cdef bytes _chunk
    cdef Py_ssize_t _chunk_offset

    cpdef int _crossed(self, int events) except -1
    cpdef _shake(self)
    cpdef bint _wrap(self) except -1
    cpdef _refuse_plain(self, bytes first)
    cpdef _fail(self, str reason)
    cpdef bytes _read_on(self, bytes data)
    cpdef _notify_close(self)
