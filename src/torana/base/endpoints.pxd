cdef class Endpoints:
    cdef public tuple client
    cdef public tuple server
    cdef public str scheme
    cdef public dict tls
    cdef public tuple memo
