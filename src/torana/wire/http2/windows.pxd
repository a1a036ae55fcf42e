cimport cython

cdef long long LARGEST_WINDOW
cdef long long FIRST_WINDOW

@cython.final
cdef class InWindow:
    cdef readonly long long size
    cdef readonly long long left
    cdef readonly long long taken
    cdef readonly long long unannounced

    cdef int begin(self, long long size) noexcept
    cpdef bint take(self, long long count) noexcept
    @cython.locals(increment="long long")
    cpdef long long give_back(self, long long count) noexcept
    cpdef int widen(self, long long count) noexcept
    @cython.locals(count="long long")
    cpdef long long surrender(self) noexcept

@cython.locals(made=InWindow)
cpdef InWindow new_window(long long size)
cpdef bint can_widen(long long window, long long increment) noexcept
