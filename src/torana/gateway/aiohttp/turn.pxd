cimport cython

from torana.gateway.eager cimport start
from torana.gateway.steps cimport Steps

cdef class Turn

cdef class Turns:
    cdef public object server
    cdef public object handler
    cdef public object make_request
    cdef public object message_type
    cdef public object payload
    cdef public object writer
    cdef public object head_writer
    cdef public object loop
    cdef public object context
    cdef object _make_task

    @cython.locals(turn=Turn)
    cpdef begin(self, object owner, object protocol, object message, bint is_head)

cdef class Turn(Steps):
    cdef public Turns turns
    cdef public object owner
    cdef public object protocol
    cdef public object message
    cdef public bint is_head
    cdef public object request
    cdef public object waiting

    cpdef begin(self, Turns turns, object owner, object protocol, object message, bint is_head)
    @cython.locals(turns=Turns)
    cdef object _call(self)
    @cython.locals(is_kept=bint)
    cdef object _ended(self, object error, object result)
