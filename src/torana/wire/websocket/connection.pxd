cimport cython

from torana.wire.websocket.budget cimport Budget
from torana.wire.websocket.deflate cimport LEAST_BYTES, Deflater, Inflater
from torana.wire.websocket.frames cimport binary_frame, close_payload, control_frame, frame_head, text_frame
from torana.wire.websocket.mask cimport rotated, unmasked, unmasked_text
from torana.wire.websocket.message cimport Message
from torana.wire.websocket.states cimport (
    BETWEEN, CLOSE_RECEIVED, CLOSE_SENT, CLOSING, COMPRESSED, CONTROL_FRAME, FAILED, FINAL, OP_BINARY, OP_CLOSE,
    OP_PING, OP_PONG, OP_TEXT, OPEN, OVER, after, can_send, complaint, is_close_code, judge, message_after,
)

cdef Py_ssize_t _STEP_BYTES
cdef Py_ssize_t _MUCH_BYTES

@cython.final
cdef class Closed:
    cdef readonly int code
    cdef readonly str reason
    cdef readonly bint is_failure
    cdef readonly str setting

@cython.final
cdef class WebSocketConnection:
    cdef readonly int state
    cdef long long _message_bytes
    cdef Budget _budget
    cdef object _deflate
    cdef bint _has_deflate
    cdef Deflater _deflater
    cdef Inflater _inflater

    cdef bytes _data
    cdef Py_ssize_t _position
    cdef bytearray _later
    cdef bint _is_in_frame
    cdef bint _is_final
    cdef long long _left
    cdef unsigned int _key
    cdef int _reading
    cdef bint _is_compressed
    cdef long long _wire_bytes
    cdef Message _message
    cdef Py_ssize_t _turn_at

    cdef double _now
    cdef bytes _pong
    cdef bytes _close_frame

    cpdef receive(self, bytes data, double now)
    cpdef object next(self)
    cpdef Py_ssize_t held(self) except -1
    cpdef abandon(self)
    @cython.locals(
        raw="const unsigned char*", start=Py_ssize_t, available=Py_ssize_t, first=cython.int, second=cython.int,
        verdict=cython.int, size=cython.longlong, head=cython.int, i=Py_ssize_t, key=cython.uint,
    )
    cdef object _frame(self)
    @cython.locals(room=cython.longlong, is_compressed=bint)
    cdef bint _is_too_large(self, long long size, int first) except -1
    cdef object _begin_frame(self, int first, long long size, unsigned int key)
    @cython.locals(count=Py_ssize_t, start=Py_ssize_t, message=Message)
    cdef object _payload(self)
    @cython.locals(message=Message)
    cdef object _take(self, Py_ssize_t start, Py_ssize_t end)
    cdef object _inflate(self, Message message, bytes data, bint is_end)
    @cython.locals(message=Message)
    cdef object _finish(self)
    cdef object _control(self, int opcode, bytes payload)
    @cython.locals(raw="const unsigned char*", size=Py_ssize_t, code=cython.int)
    cdef object _closed_by_peer(self, bytes payload)
    cdef object _fail(self, int code, str reason, str setting)
    cdef object _need_data(self)
    cdef int _release(self) except -1

    # Untyped: a typed argument would refuse subclasses of str and bytes.
    @cython.locals(head=bytes, payload=bytes)
    cpdef bytes text(self, object data)
    @cython.locals(head=bytes, payload=bytes)
    cpdef bytes binary(self, object data)
    @cython.locals(first=cython.int, payload=bytes, compressed=bytes)
    cpdef tuple parts(self, object data)
    cpdef bytes ping(self, bytes payload)
    cpdef bytes close(self, int code, str reason)
    cpdef bint has_output(self) except -1
    cpdef bytes take_output(self)
    cpdef bint is_closing(self) except -1
    cpdef bint is_closed(self) except -1
