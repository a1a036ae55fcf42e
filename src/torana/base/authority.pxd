cimport cython

from torana.base.bytescan cimport HEX, decimal, span

cdef bytes REG_NAME_BYTES
cdef const unsigned char* REG_NAME

@cython.locals(size=Py_ssize_t, stop=Py_ssize_t, data="const unsigned char*")
cpdef bint is_authority(bytes value, bint needs_port=*) except -1

@cython.locals(i=Py_ssize_t)
cdef bint _is_escaped(const unsigned char* data, Py_ssize_t start, Py_ssize_t end) noexcept

cpdef bint is_ipv4(bytes text) except -1
cpdef bint is_ipv6(bytes text) except -1
