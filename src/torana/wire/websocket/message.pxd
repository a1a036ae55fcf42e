cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.string cimport memcpy

from torana.wire.websocket.mask cimport free_into, unmasked
from torana.wire.websocket.utf8 cimport BROKEN, WHOLE, after_text

cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject** whole, Py_ssize_t size) except -1
    object PyUnicode_DecodeUTF8(const char* data, Py_ssize_t size, const char* errors)

@cython.final
cdef class Message:
    cdef readonly Py_ssize_t size
    cdef readonly Py_ssize_t capacity
    cdef bint _is_text
    cdef long long _most
    cdef Py_ssize_t _checked
    cdef int _utf8
    cdef bytes _room

    cpdef int add_masked(self, bytes data, Py_ssize_t start, Py_ssize_t end, unsigned int key, long long to_come) except -1
    cpdef int add(self, bytes data) except -1
    @cython.locals(needed=Py_ssize_t, capacity=Py_ssize_t)
    cdef int _reserve(self, Py_ssize_t count, long long to_come) except -1
    cpdef bint is_valid(self) except -1
    cpdef object taken(self)

# What follows is called in the compiled build only.

# Grow or shrink the room; nobody else holds it, so that its bytes may stay where they are.
cdef inline int resize(Message message, Py_ssize_t size) except -1:
    cdef PyObject* raw
    if len(message._room) == 0:
        message._room = PyBytes_FromStringAndSize(NULL, size)
        return 0
    raw = <PyObject*>message._room
    Py_INCREF(<object>raw)
    message._room = None
    _PyBytes_Resize(&raw, size)
    message._room = <bytes>raw
    Py_DECREF(<object>raw)
    return 0

cdef inline int add_freed(Message message, const unsigned char* data, Py_ssize_t start, Py_ssize_t end, unsigned int key) except -1:
    cdef Py_ssize_t size = message.size
    cdef bint is_clear = message._checked == size and message._utf8 == WHOLE
    if free_into(<unsigned char*>PyBytes_AS_STRING(message._room) + size, data + start, end - start, key) == 0 and is_clear:
        message._checked = size + end - start  # ASCII behind a whole character
    message.size = size + end - start
    return 0

cdef inline int add_plain(Message message, bytes data) except -1:
    memcpy(PyBytes_AS_STRING(message._room) + message.size, PyBytes_AS_STRING(data), len(data))
    message.size += len(data)
    return 0

cdef inline str finished_text(Message message):
    return <str>PyUnicode_DecodeUTF8(PyBytes_AS_STRING(message._room), message.size, NULL)

cdef inline bytes finished_binary(Message message):
    cdef bytes whole
    if message.capacity > message.size:
        resize(message, message.size)
    whole = message._room
    message._room = b""
    message.size = message.capacity = 0
    return whole
