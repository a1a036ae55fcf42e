cimport cython

from torana.exchange.carrier cimport Carrier, Speaker

cdef int _NOTHING, _BYTES, _DELIMITER, _PATTERN, _CLOSE
cdef Py_ssize_t _READ_AHEAD, _SMALL_BYTES

cdef class Stream(Speaker):
    cdef object _gateway
    cdef object _loop
    cdef object _done
    cdef object _peer
    cdef Carrier _carrier
    cdef object _handler
    cdef object _task
    cdef int _stops
    cdef object _pieces
    cdef Py_ssize_t _start
    cdef Py_ssize_t _size
    cdef bint _is_reading
    cdef bint _is_closed
    cdef bint _is_settled
    cdef object _reader
    cdef int _wants
    cdef Py_ssize_t _count
    cdef bint _is_partial
    cdef object _pattern
    cdef Py_ssize_t _most
    cdef object _target
    cdef object _writers
    cdef object _close_callback
    cdef public object error
    cdef public Py_ssize_t max_buffer_size
    cdef public Py_ssize_t read_chunk_size
    cdef public object max_write_buffer_size

    cpdef carried_by(self, Carrier carrier)
    cpdef belongs_to(self, object handler, object task)
    @cython.locals(piece=bytes, carrier=Carrier)
    cpdef object write(self, object data)
    @cython.locals(size=Py_ssize_t)
    cpdef object read_bytes(self, Py_ssize_t num_bytes, bint partial=*)
    cdef object _read(self, int wants, Py_ssize_t count, bint is_partial, object pattern, object most, object target=*)
    @cython.locals(count=Py_ssize_t)
    cdef _try(self)
    @cython.locals(size=Py_ssize_t, end=Py_ssize_t, found=Py_ssize_t, data=bytes)
    cdef Py_ssize_t _ready(self) except -2
    @cython.locals(data=bytes)
    cdef bytes _joined(self)
    @cython.locals(first=bytes, start=Py_ssize_t, end=Py_ssize_t)
    cdef bytes _take(self, Py_ssize_t count)
    cdef _read_on(self)
    cdef object _finished(self, bytes data)
    cdef _say_goodbye(self)
    cdef _end(self, bint is_lost)
    cdef _call_back(self)
    cdef _settle(self)
