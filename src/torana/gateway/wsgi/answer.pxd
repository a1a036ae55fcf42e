cimport cython

from torana.base.headers cimport lower
from torana.exchange.response cimport KnownHead, Response
from torana.exchange.roles cimport Channel
from torana.exchange.states cimport DONE, IDLE
from torana.gateway.known_heads cimport KnownHeads
from torana.wire.events cimport RequestHead

cdef extern from *:
    """
    /* Whether the type has __len__: asking for the attribute makes an exception where there is none. */
    static inline int torana_is_sized(PyObject* of) {
        PyTypeObject* type = Py_TYPE(of);
        return (type->tp_as_sequence != NULL && type->tp_as_sequence->sq_length != NULL)
            || (type->tp_as_mapping != NULL && type->tp_as_mapping->mp_length != NULL);
    }
    """
    bint _is_sized "torana_is_sized" (object of)

cdef extern from "Python.h":
    object _method "PyMethod_New" (object function, object of)

cdef dict _STATUSES
cdef dict _NAMES
cdef KnownHeads _HEADS
cdef object _START_RESPONSE
cdef object _EARLY_HINTS

cdef class Answer:
    cdef Response _response
    cdef Channel _channel
    cdef RequestHead _head
    cdef bint _is_called
    cdef bint _is_bodyless
    cdef long long _left
    cdef public bint is_stopped
    cdef public bint has_excess
    cdef public bint is_raw
    cdef object _raw

    cpdef begin(self, Response response, RequestHead head)
    cdef object starter(self)
    cdef object hinter(self)
    cpdef stop(self)
    cpdef send(self, object result)
    cpdef end(self)
    cdef object _blocks(self, object result)
    @cython.locals(response=Response, known=tuple, code=int, reason=bytes, head=KnownHead)
    cdef _start(self, object status, object headers)
    @cython.locals(response=Response)
    cdef _send_each(self, object result)
    @cython.locals(left=cython.longlong)
    cdef _send_only(self, object block)
    @cython.locals(response=Response, left=cython.longlong, size=cython.longlong)
    cdef _send(self, bytes block)
    @cython.locals(response=Response, position=cython.longlong, count=cython.longlong)
    cdef bint _send_file(self, object wrapper) except -1
    cdef _check_started(self)
    @cython.locals(fields=list, encoded=bytes)
    cdef list _fields(self, object headers)

@cython.locals(made=Answer)
cpdef Answer new_answer(Response response, RequestHead head)
cdef bytes _block(object block)
cdef str _text(object text)
cdef Py_ssize_t _length(object result) except? -1
@cython.locals(encoded=bytes, size=Py_ssize_t)
cdef bytes _name(str name)
cdef bytes _latin(str name, str text)
cdef tuple _status(object status)
