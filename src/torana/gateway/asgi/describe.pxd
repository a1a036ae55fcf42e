from torana.base.endpoints cimport Endpoints
from torana.exchange.request cimport Request
from torana.wire.events cimport RequestHead

import cython

cpdef str path_of(bytes raw_path, str root_path)

@cython.locals(head=RequestHead, endpoints=Endpoints, extensions=dict, scope=dict)
cpdef dict http_scope(Request request, str root_path, dict state, bint is_debug)
