cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF

from torana.gateway.asgi.ready cimport give
from torana.gateway.steps cimport Steps
from torana.gateway.asgi.wakeup cimport Wakeup, new_wakeup

cdef extern from *:
    """
    static void torana_arrival_slot(void *type, PyObject *(*next)(PyObject *)) {
        ((PyTypeObject *) type)->tp_iternext = next;
    }
    """
    void torana_arrival_slot(void* type, PyObject* (*next)(PyObject*) noexcept)
    void torana_set_error "PyErr_SetObject" (object kind, object error)

cdef class Source(Steps):
    cdef object _loop
    cdef list _waiting

    cpdef dict next_event(self)
    @cython.locals(each=Wakeup)
    cpdef wake(self)
    @cython.locals(each=Wakeup)
    cpdef wake_soon(self)
    @cython.locals(made=Wakeup)
    cpdef Wakeup wakeup(self)

cdef class Arrival:
    cdef Source _source
    cdef bint _is_over

    cpdef begin(self, Source source)
    cpdef object step(self)

@cython.locals(made=Arrival)
cpdef Arrival new_arrival(Source source)

# ``Arrival.__next__`` without an exception object and its traceback for the end; in place of it in the compiled build.
cdef inline PyObject* _next(PyObject* arrival) noexcept:
    cdef object yielded = None
    cdef object failed = None
    try:
        yielded = (<Arrival> arrival).step()
    except BaseException as error:
        failed = error
    if failed is not None:
        torana_set_error(type(failed), failed)
        return NULL
    if type(yielded) is Wakeup:
        Py_INCREF(yielded)
        return <PyObject*> yielded
    give(yielded)
    return NULL

cdef inline void _end_without_traceback() noexcept:
    torana_arrival_slot(<void*> Arrival, _next)
