from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.errno cimport EAGAIN, EINTR, errno

from torana.net.poller cimport ERROR, HANGUP, PEER_CLOSED, READ, WRITE
from torana.net.outlet cimport Outlet
from torana.net.poller cimport Poller

cdef extern from "<sys/socket.h>" nogil:
    ssize_t c_recv "recv" (int fd, void* buffer, size_t size, int flags)

# The system call straight from C, for the compiled build; transport.py calls it only there.
cdef inline bytes _receive(int fd, Py_ssize_t size):
    cdef char buffer[65536]
    cdef ssize_t got
    if size > 65536:
        size = 65536
    got = c_recv(fd, buffer, size, 0)
    if got < 0:
        return None
    return PyBytes_FromStringAndSize(buffer, got)

cdef inline bint _would_block() noexcept:
    return errno == EAGAIN or errno == EINTR

cdef class Transport(Outlet):
    cdef public str failure
    cdef public bint is_reading
    cdef public Py_ssize_t _read_bytes

    cpdef open(self)
    cpdef bytes recv(self)
    cpdef set_reading(self, bint is_reading)
    cpdef Py_ssize_t unread(self) except -1
    cpdef bint has_unread(self) except -1
    cpdef close_when_drained(self)
    cpdef shutdown_write(self)
    cpdef release(self)
    cpdef reset(self)
    cpdef lend(self)
    cpdef bint give_back(self) except -1
    cpdef catch_up(self)
    cpdef _mute(self)
    cpdef _lose(self)
