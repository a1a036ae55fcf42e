cdef int IDLE
cdef int OPEN
cdef int REMOTE_DONE
cdef int LOCAL_DONE
cdef int CLOSED
cdef int RESET_BY_PEER
cdef int RESET_BY_US
cdef int FORGOTTEN
cdef int SILENT
cdef int STARTED
cdef int WRITTEN
cdef int PREFACE
cdef int SETTINGS
cdef int TALKING
cdef int ENDED
cdef int TAKE
cdef int DROP
cdef int STREAM_ERROR
cdef int CLOSED_ERROR
cdef int UNEXPECTED

cdef bytes _FRAMES
cdef bytes _ENDS
cdef const unsigned char* _FRAME_ROWS
cdef const unsigned char* _END_ROWS

cpdef int verdict(int state, int frame) noexcept
cpdef int after_their_end(int state) noexcept
cpdef int after_our_end(int state) noexcept
cpdef bint is_dead(int state) noexcept
cpdef bint is_reset(int state) noexcept
cpdef bint is_receiving(int state) noexcept
cpdef bint can_send_head(int sending) noexcept
cpdef bint can_send_data(int sending) noexcept
