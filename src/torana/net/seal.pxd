cimport cython

cdef class Seal:
    cdef object _incoming
    cdef object _outgoing
    cdef readonly object object
    cdef object _tls
    cdef object _read
    cdef object _write
    cdef public bint has_more
    cdef long long _credit

    cpdef bint shake(self, bytes data) except -1
    @cython.locals(size=Py_ssize_t, at=Py_ssize_t, plain=bytes, got=bytes, piece=bytes, parts=list)
    cpdef bytes opened(self, bytes data)
    @cython.locals(size=Py_ssize_t, at=Py_ssize_t, end=Py_ssize_t, parts=list)
    cpdef bytes sealed(self, object data)
    @cython.locals(at=Py_ssize_t)
    cdef _write_records(self, object view, Py_ssize_t size)
    cpdef bint has_word(self) except -1
    cpdef bytes word(self)
    cpdef bytes farewell(self)
