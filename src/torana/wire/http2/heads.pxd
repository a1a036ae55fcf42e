cimport cython

from torana.base.authority cimport is_authority
from torana.base.bytescan cimport METHOD, NAME, PATH, TARGET, TEXT, decimal, is_word, span
from torana.base.field_names cimport (
    CONTENT_LENGTH, CONTENT_TYPE, EXPECT, FORWARDING, HOST, PROXY, TE,
    is_forwarding,
)
from torana.wire.events cimport RequestHead
from torana.wire.http2.streams cimport USUAL_URGENCY

cdef int COOKIE
cdef int PRIORITY_FIELD
cdef int FORBIDDEN

cdef dict _KINDS
cdef dict _METHODS
cdef Py_ssize_t _METHOD_BYTES

@cython.final
cdef class HeadReader:
    cdef readonly Py_ssize_t dropped
    cdef readonly int urgency
    cdef readonly bint is_incremental

    cdef Py_ssize_t _field_bytes
    cdef bint _has_connect_protocol
    cdef RequestHead _head
    cdef bytes _method
    cdef bytes _scheme
    cdef bytes _path
    cdef bytes _authority
    cdef bytes _protocol
    cdef bytes _host
    cdef long long _content_length
    cdef bint _has_content_type
    cdef bint _has_te
    cdef int _expects
    cdef Py_ssize_t _crumbs

    @cython.locals(head=RequestHead, first=Py_ssize_t)
    cpdef RequestHead read(self, list fields, bint is_end)
    cdef int assume(self, int urgency, bint is_incremental) except -1
    @cython.locals(count=Py_ssize_t, i=Py_ssize_t, name=bytes, value=bytes, fault=bint)
    cdef Py_ssize_t _read_pseudo(self, list fields) except -1
    @cython.locals(kept=list, count=Py_ssize_t, i=Py_ssize_t, pair=tuple, name=bytes, value=bytes, size=Py_ssize_t,
                   raw="const unsigned char*", kind=cython.int, marks=cython.int)
    cdef int _read_regular(self, list fields, Py_ssize_t first) except -1
    cdef bint _note(self, int kind, bytes value) except -1
    cdef int _read_priority(self, bytes value) except -1
    @cython.locals(head=RequestHead, method=bytes, path=bytes, size=Py_ssize_t, query=Py_ssize_t, raw="const unsigned char*")
    cdef int _judge_target(self) except -1
    cdef int _judge_protocol(self) except -1
    cdef int _refuse_connect(self) except -1
    @cython.locals(authority=bytes)
    cdef int _judge_authority(self) except -1

@cython.locals(raw="const unsigned char*", size=Py_ssize_t, marks=cython.int, i=Py_ssize_t)
cdef int name_marks(bytes name) except -2
cdef list joined_cookies(list fields)
cpdef tuple parse_priority(bytes value)
@cython.locals(name=bytes, value=bytes, marks=cython.int, size=Py_ssize_t)
cpdef list judged_trailers(list fields, Py_ssize_t field_bytes)
@cython.locals(made=RequestHead)
cpdef RequestHead copied(RequestHead head)
