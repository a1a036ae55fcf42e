from torana.base.burst cimport Sender

cdef class Channel(Sender):
    cpdef respond(self, int status, bytes reason, list fields, long long length, object data, bint is_end)
    cpdef write(self, object data, bint is_end)
    cpdef write_file(self, int fd, long long offset, long long count, bint is_end)
    cpdef write_trailers(self, list fields)
    cpdef inform(self, int status, list fields)
    cpdef abort(self)
    cpdef want_body(self)
    cpdef bint is_full(self) except -1
    cpdef ended(self)
    cpdef refuse(self, object error)
    cpdef bint keep(self, Py_ssize_t size) except -1
    cpdef bint spool(self, long long more) except -1
    cpdef lend(self)
    cpdef wait_drained(self)
    cpdef object raw(self)
    cpdef give_back(self)
    cpdef leave(self)

cdef class Answerer:
    cpdef body_arrived(self)
    cpdef drained(self)
    cpdef disconnected(self)
    cpdef stop(self)

cdef class Witness:
    cpdef list leaving(self, object response, list fields, object data)

cdef class Link:
    cpdef open(self, str subprotocol, list fields)
    cpdef send(self, object data)
    cpdef close(self, int code, str reason)
    cpdef want_messages(self)
    cpdef bint is_full(self) except -1
    cpdef ended(self)

cdef class Gateway:
    cpdef Gateway gateway_of(self, object request)
    cpdef bint takes_conversations(self) except -1
    cpdef bint takes_tunnels(self) except -1
    cpdef converse(self, object duplex)
    cpdef answer(self, object request, object response)
    cpdef tick(self, double now_s)
