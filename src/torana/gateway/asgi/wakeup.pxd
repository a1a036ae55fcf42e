cimport cython

cdef class Wakeup:
    cdef public bint _asyncio_future_blocking
    cdef object _loop
    cdef object _callback
    cdef object _context
    cdef bint _is_done
    cdef bint _is_cancelled
    cdef bint _is_read
    cdef object _message

    cpdef begin(self, object loop)
    cpdef wake(self)
    cpdef wake_soon(self)
    cdef _call_soon(self)

@cython.locals(made=Wakeup)
cpdef Wakeup new_wakeup(object loop)
