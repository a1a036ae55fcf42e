cdef int NO_BODY
cdef int LENGTH
cdef int CHUNKED
cdef int UNTIL_CLOSE

cpdef long long request_length(int minor, long long content_length, bytes transfer_encoding) except -9
cpdef int response_framing(long long length, bint has_length, int minor) noexcept
