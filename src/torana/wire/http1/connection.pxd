cimport cython

from torana.wire.events cimport EndOfBody, Mark, RequestHead
from torana.wire.http1.body cimport BodyReader
from torana.wire.http1.framing cimport UNTIL_CLOSE
from torana.wire.http1.parser cimport HeadParser
from torana.wire.http1.received cimport Received
from torana.wire.http1.states cimport (
    BODY, ENDED, HEAD, IDLE, READ, can_begin_next, can_hand_over, can_inform, can_parse_head, can_send_head,
)
from torana.wire.http1.writer cimport FieldLines, ResponseWriter, interim_head

cdef class Http1Connection:
    cdef public bint keep_alive
    cdef public bint needs_continue
    cdef public Py_ssize_t buffered

    cdef readonly int version_minor
    cdef readonly int reading
    cdef bint _is_last
    cdef bint _has_eof
    cdef Received _received
    cdef HeadParser _parser
    cdef BodyReader _body
    cdef ResponseWriter _writer

    cpdef receive(self, bytes data)
    cpdef receive_eof(self)
    cpdef object next(self)
    @cython.locals(head=RequestHead)
    cdef object _next_head(self)
    cdef object _next_body(self)
    cdef object _need_data(self)
    cdef int _end(self) except -1
    cpdef Py_ssize_t head_size(self) except -1
    cpdef bint is_between(self) except -1
    cpdef bint next_cycle(self) except -1
    cpdef close_after(self)
    @cython.locals(message=bytes)
    cpdef bytes send_head(self, int status, bytes reason, list fields, long long length, object data, bint is_end,
                          bytes date_line, bytes default_lines, FieldLines ready=*)
    cpdef bint is_close_delimited(self) except -1
    cpdef bytes begin_data(self, Py_ssize_t size, bint is_end)
    cpdef bytes end_data(self, bint is_end)
    cpdef bytes finish(self)
    cpdef bytes send_trailers(self, list fields)
    cpdef bytes send_informational(self, int status, list fields)
    cpdef bytes unparsed(self)
    cpdef bytes hand_over(self)
