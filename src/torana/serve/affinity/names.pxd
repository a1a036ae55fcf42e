cimport cython

cdef Py_ssize_t _MOST_SEARCHED

cpdef bytes cookie_of(list fields, bytes name)
cpdef bytes field_of(list fields, bytes name)
cpdef bytes query_of(bytes query, bytes name)

@cython.locals(size=Py_ssize_t, at=Py_ssize_t, before=Py_ssize_t, start=Py_ssize_t, end=Py_ssize_t)
cdef bytes _part_of(bytes text, bytes name, int separator)

@cython.locals(size=Py_ssize_t, dot=Py_ssize_t, i=Py_ssize_t, slot=int, digit=int, letter=int)
cpdef int slot_in(bytes value) except -2

cpdef bint wants_page(list fields) except -1
