cimport cython

from torana.base.bytescan cimport LOWER_BYTES, NAME, TEXT, TOKEN, span

cpdef bytes lower(bytes name)
cpdef bint is_token(bytes text) except -1
cpdef bint is_field_value(bytes value) except -1
cpdef bytes trim(bytes value)
cpdef bytes get(list fields, bytes name)
cpdef list get_all(list fields, bytes name)
@cython.locals(size=Py_ssize_t, start=Py_ssize_t, stop=Py_ssize_t, found=list)
cpdef list elements(bytes value)
cpdef list tokens(bytes value)
cpdef bytes joined(list fields, bytes name)
