import cython

cdef class AccessLog:
    cdef object _path
    cdef int _fd
    cdef object _write_line
    cdef dict _request_places
    cdef dict _response_places
    cdef list _no_response
    cdef Py_ssize_t _request_count
    cdef Py_ssize_t _response_count
    cdef object _queue
    cdef long long _long_added
    cdef long long _long_taken
    cdef public long long dropped
    cdef public long long lost
    cdef object _report
    cdef long long _told
    cdef double _told_at
    cdef double _failed_at
    cdef object _error
    cdef bint _is_torn
    cdef bint _is_idle
    cdef bint _is_reopening
    cdef object _wake
    cdef object _closing
    cdef object _thread
    cdef str _id_prefix
    cdef long long _id_count

    @cython.locals(asked=list, told=list, size=Py_ssize_t, name=bytes, value=bytes, kept=bytes)
    cpdef record(
        self, str client, str method, bytes target, str version, int status, long long sent_bytes, double duration_s,
        double started_s, str request_id, list fields, list response_fields=*,
    )
    cpdef str next_request_id(self)
    cpdef str request_id(self, list fields)
