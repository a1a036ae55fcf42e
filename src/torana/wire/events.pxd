cdef class RequestHead:
    cdef public str method
    cdef public bytes target
    cdef public bytes raw_path
    cdef public bytes query
    cdef public list fields
    cdef public str version
    cdef public long long content_length
    cdef public bint expects_continue
    cdef public bint keep_alive
    cdef public bytes upgrade
    cdef public bint takes_trailers
    cdef public bint has_forwarding

cdef class EndOfBody:
    cdef public list trailers

cdef class Mark:
    cdef readonly str name

# The marks themselves stay Python globals: a C global cannot be imported by the pure spelling `from ... import`.
