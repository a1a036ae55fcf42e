cimport cython

cdef double _CONTROL_BURST
cdef double _CONTROL_RATE
cdef int _EMPTY_FRAGMENTS

@cython.final
cdef class Budget:
    cdef long long _most_fragments
    cdef long long _fragments
    cdef int _empty_fragments
    cdef double _credit
    cdef double _credited_at

    cpdef int begin_message(self) except -1
    cpdef bint has_fragment(self) except -1
    cpdef bint has_empty_fragment(self) except -1
    cpdef bint has_control_frame(self, double now) except -1
