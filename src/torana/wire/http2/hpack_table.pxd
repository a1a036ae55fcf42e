cimport cython

cdef list STATIC
cdef dict STATIC_FIELDS, STATIC_NAMES, TREATMENTS
cdef int ENTRY_COST, MOST_TABLE, FIRST_DYNAMIC, INDEXED, PLAIN, NEVER

@cython.final
cdef class Table:
    cdef list _ring
    cdef Py_ssize_t _mask
    cdef readonly Py_ssize_t added, count, size, most

    @cython.locals(capacity=Py_ssize_t)
    cdef int begin(self, Py_ssize_t most) except -1
    cdef tuple get(self, Py_ssize_t place)
    @cython.locals(slot=Py_ssize_t, field=tuple)
    cdef tuple drop_oldest(self)
    cdef int limit(self, Py_ssize_t most) except -1
    @cython.locals(cost=Py_ssize_t)
    cdef int add(self, tuple field) except -1

@cython.locals(name=bytes, value=bytes)
cpdef Py_ssize_t cost_of(tuple field) except -1
