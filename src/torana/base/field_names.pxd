cdef int PLAIN
cdef int HOST
cdef int CONTENT_LENGTH
cdef int TRANSFER_ENCODING
cdef int CONNECTION
cdef int EXPECT
cdef int UPGRADE
cdef int TE
cdef int CONTENT_TYPE
cdef int FORWARDING
cdef int PROXY

cpdef bint is_forwarding(bytes name) except -1
