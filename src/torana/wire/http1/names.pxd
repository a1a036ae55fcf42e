cimport cython

from torana.base.bytescan cimport LOWER

cdef Py_ssize_t _SLOTS
cdef list NAMES
cdef bytes KIND_BYTES
cdef const unsigned char* KINDS

@cython.locals(size=Py_ssize_t, slot=Py_ssize_t, i=Py_ssize_t, known="const unsigned char*", name=bytes)
cpdef Py_ssize_t slot_of(const unsigned char* data, Py_ssize_t start, Py_ssize_t end) except -2
