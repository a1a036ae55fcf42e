from torana.base.endpoints cimport Endpoints
from torana.exchange.roles cimport Gateway
from torana.serve.affinity.judge cimport Judge
from torana.serve.ledger cimport Ledger
from torana.serve.memory cimport Memory
from torana.wire.events cimport RequestHead

cdef class Site:
    cdef public Gateway gateway
    cdef public object options
    cdef public object limits
    cdef public object http2_limits
    cdef public object http2
    cdef public object timeouts
    cdef public object trust
    cdef public object refusals
    cdef public object origins
    cdef public Memory memory
    cdef public object access_log
    cdef public bytes default_lines
    cdef public list default_fields
    cdef public bint has_date
    cdef public long long body_limit
    cdef public Py_ssize_t read_ahead
    cdef public Py_ssize_t linger_bytes
    cdef public double keep_alive_s
    cdef public long long keep_alive_requests
    cdef public long long concurrency
    cdef public long long connection_cap
    cdef public long long max_requests
    cdef public Judge affinity
    cdef public object lock
    cdef public bint is_draining
    cdef public long long running
    cdef public long long served
    cdef public Ledger ledger
    cdef public object on_worn_out
    cdef public object health

    cpdef Endpoints corrected(self, Endpoints endpoints, RequestHead head, double now_s)
