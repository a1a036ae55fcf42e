cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy

from torana.base.bytescan cimport NAME, TEXT, is_word, span
from torana.wire.http1.framing cimport CHUNKED, LENGTH, NO_BODY, UNTIL_CLOSE, response_framing
from torana.wire.http1.states cimport SILENT, STARTED, WRITTEN, can_send_data, can_send_head

# A head and its first data in one allocation; writer.py calls it in the compiled build.
cdef inline bytes assembled(bytes first, list fields, list rest):
    cdef Py_ssize_t total = PyBytes_GET_SIZE(first)
    cdef bytes name, value, whole
    cdef char* at
    for part in rest:
        if type(part) is not bytes:
            return assembled(first, fields, [bytes(each) for each in rest])
        total += PyBytes_GET_SIZE(part)
    for name, value in fields:
        total += PyBytes_GET_SIZE(name) + PyBytes_GET_SIZE(value) + 4
    whole = PyBytes_FromStringAndSize(NULL, total)
    at = put(PyBytes_AS_STRING(whole), first)
    for name, value in fields:
        at = put(at, name)
        at[0] = b":"
        at[1] = b" "
        at = put(at + 2, value)
        at[0] = b"\r"
        at[1] = b"\n"
        at += 2
    for part in rest:
        at = put(at, <bytes> part)
    return whole

cdef inline char* put(char* at, bytes piece) noexcept:
    memcpy(at, PyBytes_AS_STRING(piece), PyBytes_GET_SIZE(piece))
    return at + PyBytes_GET_SIZE(piece)

cdef list _PHRASES
cdef list _STATUS_LINES
cdef list _LENGTH_LINES
cdef list _NO_FIELDS
cdef bytes _seen_defaults
cdef list _parsed_defaults

cdef int HAS_DATE
cdef int HAS_LENGTH
cdef int HAS_CONNECTION
cdef int HAS_CODING
cdef int HAS_SIZE
cdef int _LONGEST

@cython.final
cdef class FieldLines:
    cdef readonly bytes lines
    cdef readonly int found
    cdef tuple _made

    @cython.locals(made=tuple, parts=list, front=bytes)
    cdef bytes front(self, bytes first, list fields, bytes date_line, bytes default_lines)

@cython.final
cdef class ResponseWriter:
    cdef readonly int state
    cdef readonly int framing
    cdef bint _is_chunk_open

    cdef int reset(self) except -1

    @cython.locals(parts=list, lines=list, first=bytes, found=cython.int, framing=cython.int)
    cdef bytes head(self, int status, bytes reason, list fields, long long length, object data, bint is_end,
                    bytes date_line, bytes default_lines, int minor, bint keep_alive, FieldLines ready)
    cdef bytes begin_data(self, Py_ssize_t size)
    cdef bytes end_data(self, bint is_end)
    cdef bytes finish(self)
    cdef bytes trailers(self, list fields)

@cython.locals(name=bytes, value=bytes, size=Py_ssize_t, found=cython.int)
cdef int check_fields(list fields) except -1
@cython.locals(lines=list, found=cython.int)
cpdef FieldLines field_lines(list fields)
@cython.locals(name=bytes, value=bytes)
cdef int add_lines(list parts, list fields) except -1

@cython.locals(size=Py_ssize_t)
cdef int add_data(list parts, int framing, object data, bint is_end) except -1

cdef int add_common(list parts, list fields, bytes date_line, bytes default_lines, int found) except -1

@cython.locals(known=bytes, line=bytes, name=bytes, has_name=bint, size=Py_ssize_t)
cdef int add_defaults(list parts, list fields, bytes default_lines, int found) except -1

cdef bytes status_line(int status, bytes reason)
cdef bytes length_line(long long length)
cpdef bytes interim_head(int status, list fields)
