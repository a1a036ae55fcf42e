cdef int ROW_BYTES
cdef int ROW_WORDS
cdef int MARK
cdef int BEAT
cdef int BEGUN
cdef int ENDED
cdef int QUEUE
cdef int CONNECTIONS
cdef int HELD
cdef unsigned long long MARKED
cdef int PLACES
cdef int FIRST_PLACE
cdef int PLACE_WORDS
cdef int STATE
cdef int SINCE
cdef int TEXT
cdef int METHOD_BYTES
cdef int TEXT_BYTES
