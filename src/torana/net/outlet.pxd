cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.errno cimport EAGAIN, EINTR, errno
from libc.string cimport memset

from torana.net.clock cimport Clock, now_s
from torana.net.poller cimport WRITE, Poller, Watched

cdef extern from *:
    """
    #include <sys/socket.h>
    #include <sys/uio.h>
    #ifndef MSG_MORE
    #define MSG_MORE 0
    #endif
    """
    const int MSG_MORE
    cdef struct iovec:
        void* iov_base
        size_t iov_len
    cdef struct msghdr:
        iovec* msg_iov
        size_t msg_iovlen
    ssize_t c_send "send" (int fd, const void* buffer, size_t size, int flags) nogil
    ssize_t c_sendmsg "sendmsg" (int fd, const msghdr* message, int flags) nogil

# The system calls straight from C, for the compiled build; outlet.py calls them only there.
cdef inline Py_ssize_t _send(int fd, bytes data, Py_ssize_t offset, bint is_more) noexcept:
    return c_send(fd, PyBytes_AS_STRING(data) + offset, PyBytes_GET_SIZE(data) - offset, MSG_MORE if is_more else 0)

cdef inline Py_ssize_t _send3(int fd, bytes head, bytes data, bytes tail, bint is_more) noexcept:
    cdef msghdr message
    cdef iovec pieces[3]
    pieces[0].iov_base = PyBytes_AS_STRING(head)
    pieces[0].iov_len = PyBytes_GET_SIZE(head)
    pieces[1].iov_base = PyBytes_AS_STRING(data)
    pieces[1].iov_len = PyBytes_GET_SIZE(data)
    pieces[2].iov_base = PyBytes_AS_STRING(tail)
    pieces[2].iov_len = PyBytes_GET_SIZE(tail)
    memset(&message, 0, sizeof(message))
    message.msg_iov = pieces
    message.msg_iovlen = 3
    return c_sendmsg(fd, &message, MSG_MORE if is_more else 0)

cdef inline bint _would_block() noexcept:
    return errno == EAGAIN or errno == EINTR

cdef double _PACE_S

cdef class FilePiece:
    cdef public int fd
    cdef public long long offset
    cdef public long long count

    cpdef close(self)

cdef class Outlet(Watched):
    cdef public object sock
    cdef public Poller poller
    cdef public Clock clock
    cdef public object owner
    cdef public Py_ssize_t waiting
    cdef public double looked_at
    cdef public bint is_closed
    cdef public bint is_lent
    cdef public bint _is_muted
    cdef public bint _is_lost
    cdef public int _interest
    cdef public object _queue
    cdef public Py_ssize_t _offset
    cdef bytes _kept
    cdef public Py_ssize_t _high
    cdef public Py_ssize_t _low
    cdef public bint _closes_when_drained
    cdef public bint _was_full
    cdef public bint _gathers
    cdef int _files
    cdef double _last_large
    cdef bint _has_rest
    cdef long long _accepted
    cdef double _last_progress
    cdef bint _is_watched
    cdef double _watched_since
    cdef long long _first_level
    cdef long long _last_level

    @cython.locals(kept=bytes)
    cpdef post(self, bytes data)
    cpdef bint has_kept(self) except -1
    @cython.locals(data=bytes)
    cpdef leave(self)
    cpdef write(self, object data)
    cpdef write_framed(self, bytes head, object data, bytes tail, bint is_more)
    cdef _write_gathered(self, bytes head, object data, bytes tail, bint is_more)
    cpdef push(self)
    cdef bint _is_quick(self) except -1
    cdef Py_ssize_t _gather(self, bytes head, object data, bytes tail, bint is_more) except -2
    cpdef write_file(self, int fd, long long offset, long long count)
    cpdef flush(self)
    cpdef bint is_full(self) except -1
    cpdef Py_ssize_t held(self) except -1
    cpdef long long moved(self) except? -1
    cpdef bint is_too_slow(self, double now, double idle_s, long long rate) except -1
    cpdef bint wait_drained(self, double idle_s, long long rate) except -1
    cpdef long long outgoing(self) except -1
    cpdef _begin_blocked(self)
    cpdef _note_progress(self, Py_ssize_t sent)
    cpdef Py_ssize_t send_some(self, object data, Py_ssize_t offset, bint is_more) except -2
    cpdef Py_ssize_t send_file_some(self, FilePiece piece) except -2
    cpdef bint _flush_file(self, FilePiece piece) except -1
    cpdef _enqueue(self, object piece, Py_ssize_t size)
    cpdef _after_flush(self)
    cpdef _set_interest(self, int interest)
    cpdef _drop_queue(self)
    cpdef lose_soon(self)
    cpdef bint is_lost(self) except -1
    cpdef close(self)
