cimport cython

ctypedef unsigned long long bits

cdef bits _MASK
cdef bits _FIRST_PRIME
cdef bits _SECOND_PRIME

@cython.locals(mixed=bits)
cpdef bits weight(bits hash_, bits seed) noexcept

@cython.locals(owner=int, most=bits, mine=bits, count=Py_ssize_t, index=Py_ssize_t)
cpdef int owner_of(bits hash_, list slots, list seeds) except -2
