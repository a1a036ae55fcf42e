cimport cython

from torana.base.burst cimport Sender
from torana.exchange.request cimport Request
from torana.exchange.response cimport Response
from torana.exchange.roles cimport Channel
from torana.exchange.states cimport DONE
from torana.gateway.wsgi.answer cimport Answer
from torana.gateway.wsgi.call cimport Call, Site
from torana.wire.events cimport RequestHead

cdef class TimedAnswer

cdef class TimedCall(Call):
    cdef set _running
    cdef public double limit_s
    cdef public double deadline
    cdef public double spared_s
    cdef public unsigned long ident
    cdef public RequestHead head
    cdef public bint is_taken
    cdef public bint is_left
    cdef public bint is_told
    cdef public bint is_given_up
    cdef object _gate
    cdef long long _seen
    cdef Response _taken_response
    cdef Channel _taken_channel

    cpdef Sender run(self)
    cdef limit(self, set running, double limit_s)
    @cython.locals(answer=TimedAnswer)
    cdef Answer _new_answer(self, Response response, RequestHead head)
    cdef object _call(self, dict environ, Answer answer)
    cdef _come_back(self, object result)
    cdef _fail(self, object error)
    cdef _finish(self)
    cdef _put_away(self)
    cpdef double due(self) except? -1
    @cython.locals(response=Response)
    cdef open(self)
    cdef shut(self)
    @cython.locals(response=Response)
    cpdef bint take(self, double now) except -1
    @cython.locals(response=Response, channel=Channel)
    cpdef reply(self)

cdef class TimedAnswer(Answer):
    cdef TimedCall _call

    cdef attach(self, TimedCall call)
    cdef object starter(self)
    cdef object hinter(self)
    cpdef end(self)
    cdef object _blocks(self, object result)

cdef class Blocks:
    cdef TimedCall _call
    cdef object _iterator

cdef _shut(TimedCall call)
cdef _open(TimedCall call)

@cython.locals(made=TimedCall)
cpdef TimedCall new_timed_call(Site site, Request request, Response response, set running, double limit_s)
