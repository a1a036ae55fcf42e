cimport cython

from torana.exchange.carrier cimport Carrier, Speaker
from torana.exchange.request cimport Request
from torana.exchange.response cimport Response
from torana.exchange.roles cimport Answerer
from torana.gateway.readings cimport target_below
from torana.gateway.pipe cimport Pipe
from torana.wire.events cimport EndOfBody, RequestHead
from torana.wire.http1.client cimport Interim, ResponseHead, ResponseReader, chunk, end, request_head

cdef class InnerExchange(Answerer):
    cdef public Pipe pipe
    cdef public ResponseReader reader
    cdef public Request request
    cdef public Response response
    cdef public Carrier carrier
    cdef public int early_status
    cdef public bytes own_server
    cdef public tuple prefixes
    cdef public bint is_over
    cdef public bint is_sent
    cdef object _tell_over
    cdef bint _is_chunked
    cdef bint _waits_for_continue
    cdef bint _is_pushing
    cdef bint _is_paused
    cdef bint _has_asked
    cdef bint _is_answered
    cdef bint _has_trailers
    cdef int _stops

    cpdef take_on(self, Request request, Response response)
    @cython.locals(head=RequestHead, length=cython.longlong, fields=list, target=bytes, data=bytes, prefix=bytes)
    cpdef start(self, Request request, Response response)
    @cython.locals(request=Request, pipe=Pipe, data=bytes)
    cdef _push(self)
    cdef _send(self, bytes data)
    cpdef drained(self)
    cpdef received(self, bytes data)
    cpdef ended(self)
    cdef _read(self)
    @cython.locals(reader=ResponseReader, response=Response, held=bytes)
    cdef _hand_on(self)
    @cython.locals(fields=list, name=bytes)
    cdef _begin(self, ResponseHead head)
    @cython.locals(response=Response, is_reusable=bint)
    cdef _complete(self, bytes data, object trailers)
    cdef _inform(self, Interim interim)
    cdef _pause(self)
    @cython.locals(request=Request, response=Response, carrier=Carrier)
    cdef _upgrade(self, ResponseHead head)
    @cython.locals(carrier=Carrier)
    cdef _pass_on(self, bytes data)
    cpdef say_over(self, bint is_reusable)
    @cython.locals(response=Response, is_reusable=bint)
    cpdef answer_whole(self, int status, bytes reason, object fields, object data, bint keep_alive)
    cpdef pass_in(self, bytes data)
    cpdef stop_tunnel(self)
    cpdef fail(self, int status)
    cdef _client_gone(self)
    cdef _failed(self, object error)
    cdef _answer_instead(self, int status)
    @cython.locals(request=Request, response=Response, carrier=Carrier)
    cdef _end(self, bint is_reusable)

cdef class Tunnelled(Speaker):
    cdef InnerExchange _exchange

    cpdef received(self, bytes data)
    @cython.locals(exchange=InnerExchange)
    cpdef lost(self)

@cython.locals(name=bytes, value=bytes)
cdef list _without(list fields, bytes server)
