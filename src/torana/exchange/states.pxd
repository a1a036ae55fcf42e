cdef int IDLE
cdef int STARTED
cdef int SENDING
cdef int TRAILERS
cdef int DONE
cdef int CUT
cdef int START
cdef int HINT
cdef int DATA
cdef int LAST_DATA
cdef int LAST_DATA_BEFORE_TRAILERS
cdef int LAST_TRAILERS
cdef int ILLEGAL
cdef int IGNORED

cdef const unsigned char* _ROWS

cpdef int after(int state, int act) noexcept
