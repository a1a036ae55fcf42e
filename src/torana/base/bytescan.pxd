cimport cython

cdef bytes TOKEN_BYTES, NAME_BYTES, TEXT_BYTES, LINE_BYTES, METHOD_BYTES, PATH_BYTES, TARGET_BYTES, LOWER_BYTES, HEX_BYTES
cdef const unsigned char* TOKEN
cdef const unsigned char* NAME
cdef const unsigned char* TEXT
cdef const unsigned char* LINE
cdef const unsigned char* METHOD
cdef const unsigned char* PATH
cdef const unsigned char* TARGET
cdef const unsigned char* LOWER
cdef const unsigned char* HEX
cdef long long LARGEST
cdef long long _TENTH
cdef long long _SIXTEENTH

cpdef Py_ssize_t span(const unsigned char* table, const unsigned char* data, Py_ssize_t start, Py_ssize_t end) noexcept

@cython.locals(i=Py_ssize_t, differing=cython.int)
cpdef bint is_word(const unsigned char* data, Py_ssize_t start, Py_ssize_t end, bytes word) except -1

@cython.locals(i=Py_ssize_t, digit=cython.int, value=cython.longlong)
cpdef long long decimal(const unsigned char* data, Py_ssize_t start, Py_ssize_t end) noexcept

@cython.locals(i=Py_ssize_t, digit=cython.int, value=cython.longlong)
cpdef long long hexadecimal(const unsigned char* data, Py_ssize_t start, Py_ssize_t end) noexcept
