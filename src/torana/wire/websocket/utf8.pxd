cimport cython

cdef int WHOLE
cdef int BROKEN
cdef bytes _NEXT_BYTES
cdef const unsigned char* _NEXT

@cython.locals(byte=cython.uint)
cpdef int after_text(int state, const unsigned char* data, Py_ssize_t start, Py_ssize_t end) noexcept
