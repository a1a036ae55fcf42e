cimport cython

from torana.base.bytescan cimport NAME, TARGET, TEXT, span
from torana.gateway.readings cimport target_below
from torana.wire.events cimport RequestHead

cdef dict _METHODS
cdef dict _NAMES
cdef dict _others
cdef dict _paths
cdef tuple _NO_BODY
cdef tuple _NO_BODY_TEXT
cdef tuple _OPTIONS
cdef int _IS_DROPPED
cdef int _IS_UNUSUAL
cdef int _IS_CONNECTION
cdef Py_ssize_t _LONGEST
cdef Py_ssize_t _MOST_KEPT
cdef Py_ssize_t _LONGEST_KEPT
cdef Py_ssize_t _MOST_REMEMBERED

cdef class Memory:
    cdef public list fields
    cdef public bint takes_body
    cdef public tuple told

@cython.locals(target=bytes, prefix=bytes, where=tuple, told=tuple, fields=list, takes_body=object)
cpdef object plain_message(RequestHead head, tuple prefixes, object message_type, Memory memory)
@cython.locals(found=tuple, size=Py_ssize_t, text=str)
cdef tuple _where(bytes target)
@cython.locals(raw=list, told=list, names=list, has_host=bint, field=tuple, name=bytes, value=bytes, size=Py_ssize_t, weight=Py_ssize_t, found=tuple)
cdef tuple _fields(list fields, bint takes_body, Memory memory)
@cython.locals(raw="const unsigned char*", size=Py_ssize_t, i=Py_ssize_t)
cdef object _other(bytes name)
