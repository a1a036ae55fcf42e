cimport cython

from torana.base.authority cimport is_authority
from torana.base.bytescan cimport METHOD, PATH, TARGET, span
from torana.wire.events cimport RequestHead

cdef dict _METHODS

@cython.locals(i=Py_ssize_t, begin=Py_ssize_t, query=Py_ssize_t, stop=Py_ssize_t, minor=cython.int)
cpdef Py_ssize_t read_plain(RequestHead head, const unsigned char* data, Py_ssize_t start, Py_ssize_t end, Py_ssize_t method_bytes) except -2

@cython.locals(size=Py_ssize_t, name=bytes)
cdef str method_name(const unsigned char* data, Py_ssize_t start, Py_ssize_t end)

cdef int version_at(const unsigned char* data, Py_ssize_t start, Py_ssize_t end) noexcept

cpdef bytes read_unusual(RequestHead head, bytes line, Py_ssize_t method_bytes)
