from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memcpy

from torana.wire.websocket.states cimport FINAL, OP_BINARY, OP_TEXT

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

# One object for head and payload; frames.py calls these in the compiled build.
cdef inline bytes framed(int first, const char* payload, Py_ssize_t size):
    cdef Py_ssize_t head = 2 if size < 126 else 4 if size < 0x10000 else 10
    cdef bytes whole = PyBytes_FromStringAndSize(NULL, head + size)
    cdef unsigned char* at = <unsigned char*>PyBytes_AS_STRING(whole)
    cdef Py_ssize_t i, rest = size
    at[0] = first
    if head == 2:
        at[1] = size
    else:
        at[1] = 126 if head == 4 else 127
        i = head - 1
        while i > 1:
            at[i] = rest & 0xFF
            rest >>= 8
            i -= 1
    memcpy(at + head, payload, size)
    return whole

# ASCII text is its own UTF-8; other text keeps its UTF-8 with it, so that sending it to many encodes it once.
cdef inline bytes framed_text(int first, str text):
    cdef Py_ssize_t size = 0
    cdef const char* payload = PyUnicode_AsUTF8AndSize(text, &size)
    return framed(first, payload, size)

cdef int CONTROL_BYTES
cdef int REASON_BYTES

cpdef bytes frame_head(int first, Py_ssize_t size)
cpdef bytes text_frame(str data)
cpdef bytes binary_frame(bytes data)
cpdef bytes control_frame(int opcode, bytes payload)
cpdef bytes close_payload(int code, str reason)
