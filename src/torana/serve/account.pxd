cimport cython

from torana.exchange.request cimport Request
from torana.exchange.response cimport Response
from torana.serve.site cimport Site
from torana.wire.events cimport RequestHead

@cython.final
cdef class Account:
    cdef public Site site
    cdef public bint is_open
    cdef double _began
    cdef double _began_wall
    cdef int _place

    cpdef begin(self, RequestHead head, double now_s)
    cdef _begin(self, RequestHead head, double now_s)
    cpdef leave_unlogged(self)
    cpdef end(self, int status, Request request, Response response, long long sent)
    cdef _end(self, int status, Request request, Response response, long long sent)

@cython.locals(made=Account)
cpdef Account new_account(Site site)
