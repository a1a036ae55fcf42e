cdef class ErrorStream:
    cdef readonly str encoding
    cdef readonly str errors
    cdef readonly bint closed
    cdef public bint has_parts
    cdef object _logger
    cdef object _local

    cpdef flush(self)
    cdef _emit(self, str line)
