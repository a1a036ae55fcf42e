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
cdef int CONNECTING
cdef int DENYING
cdef int OPEN
cdef int CLOSED
cdef int ACCEPT
cdef int DENY
cdef int SEND
cdef int CLOSE
cdef int GONE

cdef const unsigned char* _ROWS

cpdef int after(int state, int act) noexcept
cdef const unsigned char* _CONVERSATION_ROWS

cpdef int after_in_conversation(int state, int act) noexcept
