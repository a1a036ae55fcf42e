cimport cython

from torana.base.endpoints cimport Endpoints
from torana.exchange.request cimport Request
from torana.exchange.response cimport Response
from torana.exchange.carrier cimport Carrier, Speaker
from torana.serve.http2.answering cimport Answering
from torana.serve.http2.carrier cimport StreamCarrier
from torana.serve.http2.session cimport Session
from torana.serve.site cimport Site
from torana.wire.events cimport RequestHead
from torana.wire.http2.streams cimport StreamState

cdef class Stream(Answering):
    @cython.locals(session=Session, site=Site, head=RequestHead, length="long long", owner=int)
    cpdef call(self)
    cdef _converse(self)
    @cython.locals(request=Request, carrier=StreamCarrier)
    cpdef body(self, bytes data, Py_ssize_t size)
    cpdef complete(self, object trailers)
    cpdef cancelled(self, str reason, str setting)
    cpdef lost(self)
    @cython.locals(request=Request)
    cpdef half_closed(self)
    cpdef give_up(self)
    @cython.locals(request=Request)
    cpdef drained(self)
    cpdef stop(self)
    cpdef retire(self)
    cpdef look(self, double now, bint is_stalled, bint is_patient)
    cpdef tuple doing(self)
    cpdef leave_unlogged(self)
    cdef _overloaded(self)
    cpdef _hand_on(self)

@cython.locals(made=Stream)
cpdef Stream new_stream(Session session, StreamState state, RequestHead head, Endpoints endpoints)
