cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
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

cdef extern from *:
    """
    #define torana_set_errno(failure) (errno = (failure))
    """
    void set_errno "torana_set_errno" (int failure) nogil

cdef extern from "Python.h":
    PyObject* new_bytes "PyBytes_FromStringAndSize" (const char* text, Py_ssize_t size) except NULL
    char* bytes_of "PyBytes_AS_STRING" (PyObject* made)
    int resize_bytes "_PyBytes_Resize" (PyObject** made, Py_ssize_t size) except -1

# The same for much at once: into the object itself, which is then cut to what came.
cdef inline bytes _receive_much(int fd, Py_ssize_t size):
    if size > 262144:
        size = 262144
    cdef PyObject* made = new_bytes(NULL, size)
    cdef ssize_t got = c_recv(fd, bytes_of(made), size, 0)
    cdef int failure = errno
    if got < 0:
        Py_DECREF(<object> made)
        set_errno(failure)
        return None
    if got < size:
        resize_bytes(&made, got)
    data = <bytes> made
    Py_DECREF(data)
    return data

cdef inline bint _would_block() noexcept:
    return errno == EAGAIN or errno == EINTR

cdef int _MUCH_BYTES
cdef int _MUCH_READS

cdef class Transport(Outlet):
    cdef public str failure
    cdef public bint is_reading
    cdef public Py_ssize_t _read_bytes
    cdef int _much

    cpdef open(self)
    @cython.locals(data=bytes)
    cpdef bytes recv(self)
    cpdef bytes recv_rest(self, Py_ssize_t size)
    cpdef bint is_full_read(self, Py_ssize_t size) except -1
    cpdef set_reading(self, bint is_reading)
    cpdef Py_ssize_t unread(self) except -1
    cpdef bint has_unread(self) except -1
    cpdef close_when_drained(self)
    cpdef shutdown_write(self)
    cpdef release(self)
    cpdef reset(self)
    cpdef sever(self)
    cpdef lend(self)
    cpdef bint give_back(self) except -1
    cpdef catch_up(self)
    cpdef _mute(self)
    cpdef _lose(self)
