cimport cython

from torana.exchange.roles cimport Gateway
from torana.gateway.readings cimport host_name, host_of, is_below, is_plain, readings, without
from torana.wire.events cimport RequestHead

cdef class Refusal(Gateway):
    cdef readonly int status

    cpdef bint takes_tunnels(self) except -1
    cpdef answer(self, object request, object response)

cdef class Entry:
    cdef readonly bytes prefix
    cdef readonly Gateway gateway

cdef class Choice(Gateway):
    cdef list _named
    cdef list _started

    cpdef bint takes_conversations(self) except -1
    cpdef bint takes_tunnels(self) except -1
    @cython.locals(gateway=Gateway)
    cpdef tick(self, double now_s)
    cpdef answer(self, object request, object response)
    cpdef converse(self, object duplex)

cdef class Several(Choice):
    cdef bytes _root
    cdef list _everywhere
    cdef dict _exact
    cdef list _wild
    cdef bint _has_hosts
    cdef dict _known
    cdef Refusal _no_path
    cdef Refusal _no_host
    cdef Refusal _unclear

    @cython.locals(head=RequestHead, entries=list, path=bytes, found=Gateway)
    cpdef Gateway gateway_of(self, object request)
    @cython.locals(entry=Entry)
    cdef Gateway _find(self, list entries, bytes path)
    @cython.locals(path=bytes, found=Gateway, gateway=Gateway)
    cdef Gateway _find_by_all(self, list entries, bytes raw_path)
    @cython.locals(known=list, name=bytes, entries=list, suffix=bytes, below=list)
    cdef list _entries_of(self, bytes host)

cdef class Halves(Choice):
    cdef Gateway _wsgi
    cdef Gateway _asgi
    cdef bint _takes_websockets
    cdef bytes _root
    cdef bytes _mount
    cdef object _match
    cdef Refusal _unclear

    @cython.locals(head=RequestHead, path=bytes, is_asgi=bint)
    cpdef Gateway gateway_of(self, object request)
    cdef bint _is_asgi(self, bytes path) except -1
