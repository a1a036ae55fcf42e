cimport cython

from torana.base.bytescan cimport decimal, is_word
from torana.base.headers cimport is_field_value, is_token, lower, tokens
from torana.exchange.carrier cimport Upgradable
from torana.exchange.request cimport Request
from torana.exchange.roles cimport Channel, Witness
from torana.exchange.states cimport (
    CUT, DATA, DONE, HINT, IDLE, IGNORED, ILLEGAL, LAST_DATA, LAST_DATA_BEFORE_TRAILERS, LAST_TRAILERS, SENDING, START,
    STARTED, TRAILERS, after,
)

cdef class KnownHead:
    cdef readonly list fields
    cdef readonly long long declared
    cdef readonly bint wants_close
    cdef public object written

cdef class Response:
    cdef public Channel channel
    cdef public int state
    cdef public int status
    cdef public bytes reason
    cdef public list fields
    cdef readonly KnownHead head
    cdef public long long sent
    cdef public bint wants_close
    cdef public Witness witness
    cdef readonly bint is_head
    cdef readonly long long declared
    cdef bint _keeps_trailers
    cdef bint _wants_trailers
    cdef bint _is_bodyless
    cdef list _trailers

    cpdef begin(self, Channel channel, Request request)
    @cython.locals(size=Py_ssize_t, state=int, declared=cython.longlong, length=cython.longlong, wants_close=bint, kept=list)
    cpdef start(self, int status, object fields, bytes reason=*, bint trailers=*)
    cpdef KnownHead known(self)
    @cython.locals(state=int)
    cpdef start_known(self, int status, bytes reason, KnownHead head)
    @cython.locals(size=Py_ssize_t, act=int, before=int, state=int, waits=bint)
    cpdef write(self, object data, bint is_last)
    cpdef bint write_file(self, int fd, long long offset, long long count, bint is_last) except -1
    cpdef trailers(self, object fields, bint is_last)
    cpdef hint(self, object links)
    cpdef bint is_begun(self) except -1
    cpdef bint is_over(self) except -1
    cpdef bint replace(self, int status, list fields, bytes body) except -1
    cpdef abort(self)
    cpdef lose(self)
    cpdef object hand_over(self)
    cpdef object upgrade(self, object fields, object speaker)
    cpdef withdraw(self)
    cpdef list witnessed(self, list fields, object data)
    @cython.locals(state=int)
    cdef int _started(self, int status) except -1
    cdef _set_head(self, int status, list fields, long long declared, bint wants_close)
    cpdef add_length(self, long long length)
    cdef _send_head(self, object data, Py_ssize_t size, bint is_last)
    cdef _check_length(self, long long size, bint is_last)
    cdef _check_field(self, object name, object value)
    cdef long long _length(self, bytes value) except -1
    cdef str _out_of_order(self, int state)

@cython.locals(made=Response)
cpdef Response new_response(Channel channel, Request request)
