cimport cython

from torana.exchange.response cimport KnownHead, Response
from torana.gateway.asgi.waiters cimport Waiters
from torana.gateway.known_heads cimport KnownHeads

cdef KnownHeads _HEADS

cdef class Answer:
    cdef Response _response
    cdef Waiters _waiters
    cdef bint _is_debug

    cpdef begin(self, Response response, bint is_debug)
    cpdef wake(self)
    cdef object _act(self, dict message)
    @cython.locals(response=Response, head=KnownHead)
    cdef _start(self, dict message)
    cdef _write(self, dict message)
    cdef _other(self, object kind, dict message)
    cdef _send_path(self, dict message)
    cdef _send_file(self, dict message)

@cython.locals(made=Answer)
cpdef Answer new_answer(Response response, bint is_debug)

cpdef dict as_dict(object message)
cpdef object status_of(dict message)
cpdef object body_of(dict message)
