cimport cython

from torana.base.endpoints cimport Endpoints
from torana.exchange.request cimport Request, new_request
from torana.exchange.response cimport Response, new_response
from torana.net.outlet cimport FilePiece
from torana.serve.account cimport Account, new_account
from torana.exchange.carrier cimport Upgradable
from torana.serve.http2.loan cimport Loan
from torana.serve.http2.session cimport Session
from torana.serve.site cimport Site
from torana.wire.events cimport RequestHead
from torana.wire.http2.streams cimport StreamState

cdef class Sending(Upgradable):
    cdef public Session session
    cdef public StreamState state
    cdef public Account account
    cdef public Request request
    cdef public Response response
    cdef public object carrier
    cdef public bint is_called
    cdef public bint is_answered
    cdef public bint is_dead
    cdef public bint has_ended
    cdef public bint is_lent
    cdef bint _was_lent
    cdef bint _is_returned
    cdef bint _is_aborted
    cdef bint _is_settled
    cdef object _fault
    cdef Loan _loan
    cdef object _behind
    cdef bint _is_body_awaited
    cdef double _body_since
    cdef double _last_arrival
    cdef long long _body_bytes
    cdef public Py_ssize_t unacknowledged
    cdef double _stalled_since
    cdef long long _stalled_at
    cdef Py_ssize_t _head_size
    cdef Py_ssize_t _spooled

    @cython.locals(site=Site)
    cpdef begin(self, Session session, StreamState state, RequestHead head, Endpoints endpoints)
    cpdef hold(self, bytes data)
    cpdef cut(self, int code)
    cpdef acknowledge(self)
    cpdef discard(self, Py_ssize_t size)
    @cython.locals(session=Session, site=Site)
    cdef _send_head(self, int status, list fields, long long length, object data, bint is_end)
    @cython.locals(session=Session)
    cdef _send(self, object data, bint is_end)
    cdef _send_trailers(self, list fields)
    cdef _send_file(self, FilePiece piece, bint is_end)
    cdef _pump(self)
    @cython.locals(size=Py_ssize_t)
    cdef bint _pump_file(self, FilePiece piece, bint is_end) except -1
    cdef _drop_files(self)
    cdef _answered(self)
    cdef _restart_body_clock(self)
    cpdef keep_head(self, Py_ssize_t size)
    @cython.locals(size=Py_ssize_t)
    cdef _unburden(self)
    cdef bint _is_stalled(self, double now, bint is_waiting) except -1
    cdef _note(self, str reason, str setting)
