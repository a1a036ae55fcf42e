cimport cython
from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memcpy

from torana.base.board_row cimport (
    BEAT, BEGUN, CONNECTIONS, ENDED, FIRST_PLACE, HELD, MARK, MARKED, METHOD_BYTES, PLACE_WORDS, PLACES, QUEUE, ROW_BYTES,
    SINCE, STATE, TEXT, TEXT_BYTES,
)
from torana.wire.events cimport RequestHead

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

# Where the memory behind a view begins; it stays there for as long as the view does. ledger.py calls these only in
# the compiled build.
cdef inline unsigned long long* _address_of(object view) except NULL:
    cdef Py_buffer buffer
    PyObject_GetBuffer(view, &buffer, PyBUF_WRITABLE)
    cdef unsigned long long* address = <unsigned long long*> buffer.buf
    PyBuffer_Release(&buffer)
    return address

cdef inline void _write_double(unsigned long long* at, double value) noexcept:
    memcpy(at, &value, sizeof(double))

cdef inline Py_ssize_t _write_text(
    unsigned long long* at, Py_ssize_t most, Py_ssize_t method_most, str method, bytes path
) except -1:
    cdef char* text = <char*> at
    cdef Py_ssize_t size = 0
    cdef const char* raw = PyUnicode_AsUTF8AndSize(method, &size)
    if size > method_most:
        size = method_most
    memcpy(text, raw, size)
    text[size] = b" "
    size += 1
    cdef Py_ssize_t rest = PyBytes_GET_SIZE(path)
    if rest > most - size:
        rest = most - size
    memcpy(text + size, PyBytes_AS_STRING(path), rest)
    return size + rest

@cython.final
cdef class Ledger:
    cdef object _row
    cdef unsigned long long* _words
    cdef list _free

    @cython.locals(words="unsigned long long*", free=list, at=Py_ssize_t, size=Py_ssize_t, place=int)
    cpdef int begin(self, RequestHead head, double now_s) except -2
    @cython.locals(words="unsigned long long*")
    cpdef end(self, int place)
    cpdef beat(self)
    @cython.locals(words="unsigned long long*")
    cpdef note(self, long long queue, long long connections, long long held=*)
