cimport cython

from torana.base.bytescan cimport LINE, span

cdef int INCOMPLETE
cdef int TOO_LONG
cdef int ILLEGAL

@cython.final
cdef class Received:
    cdef public bytes data
    cdef public Py_ssize_t position
    cdef bytearray _later
    cdef Py_ssize_t _seen

    cpdef int add(self, bytes data) except -1
    cpdef Py_ssize_t size(self) noexcept

    cdef int let_go(self) except -1

    @cython.locals(end=Py_ssize_t)
    cpdef Py_ssize_t line(self, Py_ssize_t bound) except? -9

    @cython.locals(later=bytearray, end=Py_ssize_t)
    cdef Py_ssize_t _later_line(self, Py_ssize_t bound) except? -9

    cpdef bint refill(self) except -1

    @cython.locals(piece=bytes, available=Py_ssize_t, raw="const unsigned char*")
    cpdef bytes take(self, long long most)

    cdef bytes _take_both(self, long long most)

    cpdef bytes unparsed(self)

    cpdef bytes rest(self)

@cython.locals(stop=Py_ssize_t, zone=Py_ssize_t)
cdef Py_ssize_t _find(const unsigned char* data, Py_ssize_t start, Py_ssize_t scan, Py_ssize_t size, Py_ssize_t bound) noexcept
