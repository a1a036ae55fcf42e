cdef int IDLE
cdef int HEAD
cdef int BODY
cdef int READ
cdef int ENDED

cdef int SILENT
cdef int STARTED
cdef int WRITTEN

cpdef bint can_parse_head(int reading) noexcept
cpdef bint can_begin_next(int reading, int writing, bint keep_alive) noexcept
cpdef bint can_send_head(int writing) noexcept
cpdef bint can_send_data(int writing) noexcept
cpdef bint can_inform(int reading, int writing, int minor) noexcept
cpdef bint can_hand_over(int reading, int writing) noexcept
