cimport cython

cdef class Frames:
    cdef long long _left
    cdef bytes _head

    cpdef bint is_between(self) except -1
    @cython.locals(size=Py_ssize_t, at=Py_ssize_t, step=Py_ssize_t, needs=Py_ssize_t, head=bytes)
    cpdef count(self, bytes data)

cdef Py_ssize_t _head_bytes(bytes head) except -1
cdef object _payload_bytes(bytes head)
