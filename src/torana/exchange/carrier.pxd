from torana.exchange.roles cimport Channel

cdef class Speaker:
    cpdef received(self, bytes data)
    cpdef drained(self)
    cpdef expired(self, double now)
    cpdef go_on(self)
    cpdef lost(self)
    cpdef stop(self)
    cpdef bint is_over(self) except -1

cdef class Carrier:
    cpdef post(self, bytes data)
    cpdef write(self, bytes head, object data)
    cpdef bint is_full(self) except -1
    cpdef set_reading(self, bint is_reading)
    cpdef set_deadline(self, double at)
    cpdef come_back(self)
    cpdef finish(self)
    cpdef cut(self)
    cpdef settled(self)

cdef class Upgradable(Channel):
    cpdef Carrier upgrade(self, list fields, Speaker speaker)
