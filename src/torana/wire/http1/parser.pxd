cimport cython

from torana.base.authority cimport is_authority
from torana.base.bytescan cimport NAME, TEXT, decimal, is_word
from torana.base.field_names cimport (
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, FORWARDING, HOST, PROXY, TE, TRANSFER_ENCODING, UPGRADE,
    is_forwarding,
)
from torana.wire.events cimport RequestHead
from torana.wire.http1.framing cimport request_length
from torana.wire.http1.names cimport KINDS, NAMES, slot_of
from torana.wire.http1.received cimport INCOMPLETE, ILLEGAL, TOO_LONG, Received
from torana.wire.http1.request_line cimport read_plain, read_unusual

@cython.final
cdef class HeadParser:
    cdef readonly RequestHead head
    cdef readonly bint has_line
    cdef readonly int minor
    cdef readonly Py_ssize_t dropped

    cdef Py_ssize_t _request_line_bytes
    cdef Py_ssize_t _method_bytes
    cdef Py_ssize_t _field_bytes
    cdef Py_ssize_t _head_bytes
    cdef Py_ssize_t _field_count

    cdef bint _has_blank
    cdef Py_ssize_t _left
    cdef Py_ssize_t _count
    cdef bytes _authority
    cdef bytes _host
    cdef long long _content_length
    cdef bytes _transfer_encoding
    cdef bint _has_content_type
    cdef bint _says_close
    cdef bint _says_keep_alive
    cdef bint _says_upgrade
    cdef int _expects

    cdef int reset(self) except -1
    cdef Py_ssize_t size(self) noexcept
    cdef bint parse(self, Received received) except -1
    @cython.locals(head=RequestHead, start=Py_ssize_t, bound=Py_ssize_t, after=Py_ssize_t, stop=Py_ssize_t)
    cdef bint _read_line(self, Received received) except -1

    @cython.locals(data=bytes, raw="const unsigned char*", i=Py_ssize_t, end=Py_ssize_t, start=Py_ssize_t,
                   stop=Py_ssize_t, begin=Py_ssize_t, after=Py_ssize_t, bound=Py_ssize_t, slot=Py_ssize_t,
                   marks=cython.int, kind=cython.int, byte=cython.int, is_retry=bint, name=bytes, value=bytes, fields=list)
    cdef bint _read_fields(self, Received received) except -1

    cdef Py_ssize_t _bound(self, Py_ssize_t line_bytes) noexcept
    cdef object _refuse_line(self, Py_ssize_t outcome)
    cdef bint _note(self, int kind, bytes value) except -1
    cdef int _note_host(self, bytes value) except -1
    @cython.locals(length=cython.longlong)
    cdef int _note_content_length(self, bytes value) except -1
    @cython.locals(size=Py_ssize_t)
    cdef int _note_connection(self, bytes value) except -1
    cdef int _note_expect(self, bytes value) except -1
    @cython.locals(head=RequestHead)
    cdef int _finish(self) except -1
    cdef int _apply_authority(self, bytes authority) except -1

cpdef tuple split_field(bytes line)
cpdef object field_fault(bytes line)
