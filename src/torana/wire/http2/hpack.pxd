cimport cython

from torana.base.headers cimport is_field_value, is_token, lower
from torana.wire.http2.hpack_table cimport (
    FIRST_DYNAMIC, INDEXED, MOST_TABLE, NEVER, PLAIN, STATIC, STATIC_FIELDS, STATIC_NAMES, TREATMENTS, Table, cost_of)
from torana.wire.http2.huffman cimport from_huffman, huffman_size, to_huffman

cdef Py_ssize_t _LARGEST_INDEXED
cdef list _SHORT
cdef list _STATUSES

@cython.final
cdef class Decoder:
    cdef readonly Py_ssize_t changes
    cdef readonly Py_ssize_t size
    cdef readonly Table table
    cdef Py_ssize_t _allowed
    cdef bytes _block
    cdef const unsigned char* _raw
    cdef Py_ssize_t _at, _end

    @cython.locals(fields=list, field=tuple, byte=cython.int, size=Py_ssize_t, count=Py_ssize_t)
    cpdef list decode(self, bytes block, Py_ssize_t most_bytes, Py_ssize_t most_fields)
    cdef tuple _entry(self, Py_ssize_t index)
    @cython.locals(index=Py_ssize_t, name=bytes, field=tuple)
    cdef tuple _literal(self, int byte)
    @cython.locals(value="long long", byte="long long", shift=cython.int)
    cdef Py_ssize_t _integer(self, int mask) except -1
    @cython.locals(byte=cython.int, size=Py_ssize_t, start=Py_ssize_t, text=bytes)
    cdef bytes _string(self)
    @cython.locals(updates=cython.int, size=Py_ssize_t)
    cdef int _resize(self) except -1

@cython.final
cdef class Encoder:
    cdef readonly Table table
    cdef dict _live
    cdef bint _is_resized
    cdef Py_ssize_t _least

    @cython.locals(most=Py_ssize_t)
    cpdef int resize(self, long long table_bytes) except -1
    @cython.locals(first=bytes)
    cpdef bytes encode_head(self, int status, list fields)
    cpdef bytes encode(self, list fields, bint has_pseudo=*)
    @cython.locals(parts=list)
    cdef bytes _block(self, bytes first, list fields, bint has_pseudo)
    cdef int _forget(self) except -1
    cdef int _say_sizes(self, list parts) except -1
    @cython.locals(field=tuple, name=bytes, value=bytes)
    cdef int _add_fields(self, list parts, list fields, bint has_pseudo) except -1
    @cython.locals(field=tuple, treatment=cython.int, cost=Py_ssize_t)
    cdef int _add_new(self, list parts, bytes name, bytes value, bint has_pseudo) except -1

cdef int _check(bytes name, bytes value, bint has_pseudo) except -1
cdef int _add_number(list parts, int pattern, Py_ssize_t mask, Py_ssize_t value) except -1
@cython.locals(size=Py_ssize_t)
cdef int _add_string(list parts, bytes text, bint can_be_coded) except -1
@cython.locals(parts=list, ready=bytes, value=bytes)
cdef bytes _status(int status)
