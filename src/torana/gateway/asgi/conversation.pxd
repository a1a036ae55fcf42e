cimport cython

from torana.exchange.duplex cimport Duplex
from torana.exchange.response cimport Response
from torana.exchange.roles cimport Channel, Link
from torana.exchange.states cimport CLOSED, CUT, DENYING, OPEN
from torana.gateway.asgi.answer cimport as_dict, body_of, status_of
from torana.gateway.asgi.arrival cimport Source, new_arrival
from torana.gateway.asgi.describe cimport Describer
from torana.gateway.asgi.ready cimport ready
from torana.gateway.asgi.waiters cimport Waiters

cdef class WebSocketCall(Source):
    cdef public Duplex duplex
    cdef public object task
    cdef set _calls
    cdef object _app
    cdef Describer _describer
    cdef object _page
    cdef Waiters _writers
    cdef bint _is_announced
    cdef bint _is_accepted
    cdef bint _is_stopped

    @cython.locals(duplex=Duplex)
    cpdef dict next_event(self)
    cdef _send(self, dict message)
    cdef object _other(self, object kind, dict message)
    cdef _accept(self, dict message)
    cdef _close(self, dict message)
    cdef object _next_drain(self)
    cdef object _failed(self, object error)
    @cython.locals(response=Response)
    cdef _left_unanswered(self)
    @cython.locals(response=Response)
    cdef _answer(self, int status, object error)
