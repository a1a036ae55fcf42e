cimport cython

cdef dict _names
cdef dict _first_lines
cdef Py_ssize_t _MOST_KEPT

cdef class Done:
    pass

cdef tuple _first_line(str status_line)
@cython.locals(fields=list, known=bytes, text=str, data=bytes, size=Py_ssize_t, keep_alive=bint)
cpdef tuple fields_of(object headers, bytes own_server)
