cdef int OPEN
cdef int CLOSING
cdef int OVER

cdef int CLOSE_SENT
cdef int CLOSE_RECEIVED
cdef int FAILED

cdef int BETWEEN
cdef int IN_TEXT
cdef int IN_BINARY

cdef int OP_CONTINUATION
cdef int OP_TEXT
cdef int OP_BINARY
cdef int OP_CLOSE
cdef int OP_PING
cdef int OP_PONG

cdef int FINAL
cdef int COMPRESSED

cdef int DATA_FRAME
cdef int CONTROL_FRAME
cdef int RESERVED_BIT
cdef int UNKNOWN_OPCODE
cdef int FRAGMENTED_CONTROL
cdef int STRAY_CONTINUATION
cdef int INTERRUPTED_MESSAGE

cdef const unsigned char* _ROWS
cdef const unsigned char* _FRAMES

cpdef int after(int state, int act) noexcept
cpdef bint can_send(int state) noexcept
cpdef int judge(int message, bint has_deflate, int first) noexcept
cpdef str complaint(int verdict)
cpdef int message_after(int message, int first) noexcept
cpdef bint is_close_code(int code) noexcept
