cimport cython

cdef unsigned int[256] _CODES
cdef unsigned char[256] _LENGTHS
cdef unsigned char[256] _SHORT_SYMBOLS
cdef unsigned char[256] _SHORT_LENGTHS
cdef unsigned int[31] _LIMITS
cdef int[31] _OFFSETS
cdef unsigned char[256] _ORDER

@cython.locals(i=Py_ssize_t, bits=Py_ssize_t)
cpdef Py_ssize_t huffman_size(bytes text) except -1

@cython.locals(
    found=bytearray, out="unsigned char*", raw="const unsigned char*", i=Py_ssize_t, at=Py_ssize_t, bits=cython.int,
    waiting="unsigned long long", byte=cython.int)
cpdef bytes to_huffman(bytes text)

@cython.locals(
    found=bytearray, out="unsigned char*", at=Py_ssize_t, bits=cython.int, length=cython.int, waiting="unsigned long long",
    window="unsigned int")
cpdef bytes from_huffman(const unsigned char* data, Py_ssize_t start, Py_ssize_t end)

@cython.locals(length=cython.int)
cdef int _long_length(unsigned int window) noexcept
