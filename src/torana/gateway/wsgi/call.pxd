cimport cython

from torana.base.burst cimport Sender
from torana.exchange.request cimport Request
from torana.exchange.response cimport Response
from torana.exchange.roles cimport Channel
from torana.gateway.jobs cimport Job, JobQueue
from torana.gateway.wsgi.answer cimport Answer, new_answer
from torana.gateway.wsgi.describe cimport Describer
from torana.gateway.wsgi.errors cimport ErrorStream
from torana.wire.events cimport RequestHead

cdef class Call

cdef class Site:
    cdef public object app
    cdef public Describer describer
    cdef public ErrorStream errors
    cdef public long long spool_bytes
    cdef public object error_page
    cdef public long long dropped
    cdef public long long queued
    cdef public object watch
    cdef public object sockets
    cdef JobQueue _queue

    cpdef enqueue(self, Call call)

cdef class Call(Job):
    cdef Site _site
    cdef Request _request
    cdef Response _response
    cdef Channel _channel
    cdef object _spool
    cdef Answer _answer
    cdef bint _is_taking
    cdef bint _is_stopped
    cdef public int stage

    cpdef hold(self, Site site, Request request, Response response)
    cpdef begin(self)
    @cython.locals(channel=Channel)
    cpdef give_up(self)
    @cython.locals(channel=Channel)
    cpdef Sender run(self)
    @cython.locals(response=Response, head=RequestHead, answer=Answer)
    cdef _answer_it(self)
    cdef Answer _new_answer(self, Response response, RequestHead head)
    cdef object _call(self, dict environ, Answer answer)
    cdef _turn_away(self, error)
    cdef _enqueue(self)
    cdef _drop(self, int status)
    @cython.locals(environ=dict)
    cdef dict _environ(self, Answer answer)
    cdef _close(self, object result)
    cdef _fail(self, object error)
    cdef _say(self, int status)
    cdef _finish(self)
    cdef _release(self)

@cython.locals(made=Call)
cpdef Call new_call(Site site, Request request, Response response)
