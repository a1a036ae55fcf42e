cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

from torana.wire.http2.windows cimport LARGEST_WINDOW

cdef int DATA
cdef int HEADERS
cdef int PRIORITY
cdef int RST_STREAM
cdef int SETTINGS_FRAME
cdef int PUSH_PROMISE
cdef int PING
cdef int GOAWAY
cdef int WINDOW_UPDATE
cdef int CONTINUATION
cdef int PRIORITY_UPDATE

cdef int END_STREAM
cdef int ACK
cdef int END_HEADERS
cdef int PADDED
cdef int HAS_PRIORITY

cdef int HEADER_TABLE_SIZE
cdef int ENABLE_PUSH
cdef int MAX_CONCURRENT_STREAMS
cdef int INITIAL_WINDOW_SIZE
cdef int MAX_FRAME_SIZE
cdef int MAX_HEADER_LIST_SIZE
cdef int ENABLE_CONNECT_PROTOCOL
cdef int NO_RFC7540_PRIORITIES

cdef Py_ssize_t MOST_PAYLOAD
cdef Py_ssize_t HEAD_SIZE

cdef int CUT
cdef int FRAME
cdef int TOO_LONG
cdef int GARBLED

# Nine bytes without an int object for each; frames.py calls it in the compiled build.
cdef inline bytes packed(Py_ssize_t length, int kind, int flags, unsigned int stream):
    cdef bytes head = PyBytes_FromStringAndSize(NULL, 9)
    cdef unsigned char* at = <unsigned char*>PyBytes_AS_STRING(head)
    at[0] = <unsigned char>(length >> 16)
    at[1] = <unsigned char>(length >> 8)
    at[2] = <unsigned char>length
    at[3] = <unsigned char>kind
    at[4] = <unsigned char>flags
    at[5] = <unsigned char>(stream >> 24)
    at[6] = <unsigned char>(stream >> 16)
    at[7] = <unsigned char>(stream >> 8)
    at[8] = <unsigned char>stream
    return head

@cython.final
cdef class FrameReader:
    cdef readonly bytes data
    cdef readonly Py_ssize_t at
    cdef readonly Py_ssize_t length
    cdef readonly int kind
    cdef readonly int flags
    cdef readonly unsigned int stream
    cdef readonly Py_ssize_t start
    cdef readonly Py_ssize_t stop
    cdef readonly Py_ssize_t left
    cdef bytearray _later
    cdef Py_ssize_t _wanted

    @cython.locals(size=Py_ssize_t, later=bytearray, rest=bytes)
    cpdef int add(self, bytes data) except -1
    cpdef Py_ssize_t size(self) except -1
    cpdef int clear(self) except -1
    @cython.locals(size=Py_ssize_t, data=bytes)
    cpdef int read_preface(self) except -1
    @cython.locals(data=bytes, raw="const unsigned char*", at=Py_ssize_t, size=Py_ssize_t, length=Py_ssize_t)
    cpdef int read(self) except -1
    @cython.locals(data=bytes, at=Py_ssize_t, stop=Py_ssize_t)
    cpdef bytes take(self)
    @cython.locals(raw="const unsigned char*", first="unsigned int")
    cpdef unsigned int number(self, Py_ssize_t at) except? 0

cpdef bytes frame_head(Py_ssize_t length, int kind, int flags, unsigned int stream)
cpdef bytes settings_frame(list values)
cpdef bytes settings_ack()
cpdef bytes ping_frame(bytes payload, bint is_reply)
cpdef bytes goaway_frame(unsigned int last, unsigned int code)
cpdef bytes reset_frame(unsigned int stream, unsigned int code)
cpdef bytes update_frame(unsigned int stream, long long increment)
@cython.locals(flags=cython.int, kind=cython.int, size=Py_ssize_t, total=Py_ssize_t, start=Py_ssize_t, stop=Py_ssize_t)
cpdef Py_ssize_t add_head_frames(list parts, unsigned int stream, bytes block, bint is_end) except -1
