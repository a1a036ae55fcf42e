cimport cython

from torana.wire.events cimport RequestHead

cpdef bint is_plain(bytes raw_path) except -1

@cython.locals(told=bytes, segments=bytes, found=list, reading=bytes)
cpdef list readings(bytes raw_path)

@cython.locals(kept=list, segment=bytes)
cdef bytes _normal(bytes path)

@cython.locals(size=Py_ssize_t)
cpdef bint is_below(bytes path, bytes prefix) except -1

cpdef bytes without(bytes path, bytes prefix)

@cython.locals(rest=bytes)
cpdef bytes target_below(bytes target, bytes prefix)

cpdef bytes encoded(str path)

@cython.locals(found=bytes, is_first=bint, name=bytes, value=bytes)
cpdef bytes host_of(RequestHead head)

@cython.locals(name=bytes, colon=Py_ssize_t)
cpdef bytes host_name(bytes host)
