cimport cython

@cython.final
cdef class Loan:
    cdef public bint is_posted
    cdef object _acts
    cdef Py_ssize_t _added
    cdef Py_ssize_t _taken
    cdef object _room

    cpdef add(self, tuple act, Py_ssize_t size)
    cpdef bint is_full(self) except -1
    cpdef begin_to_wait(self)
    cpdef wait(self)
    cpdef tuple take(self)
    cpdef count(self, Py_ssize_t size)
    cpdef tell(self)

@cython.locals(made=Loan)
cpdef Loan new_loan()
