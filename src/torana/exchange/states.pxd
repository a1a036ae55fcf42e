cdef const unsigned char* _ROWS

cpdef int after(int state, int act) noexcept
