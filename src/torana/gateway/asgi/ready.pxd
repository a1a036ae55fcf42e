cimport cython
from cpython.object cimport PyObject

cdef extern from *:
    """
    static void torana_ready_slot(void *type, PyObject *(*next)(PyObject *)) {
        ((PyTypeObject *) type)->tp_iternext = next;
    }
    """
    void torana_ready_slot(void* type, PyObject* (*next)(PyObject*) noexcept)
    void torana_set_stop "PyErr_SetObject" (object kind, object value)

cdef class Done:
    pass

cdef class Ready:
    cdef readonly object value

@cython.locals(made=Ready)
cpdef Ready ready(object value)

# Set StopIteration(value), for a C function that returns NULL next: without a traceback, which nobody would ever read,
# and up to Python 3.11 without the exception object. (Python unpacks tuples and exceptions, so these need the object.)
cdef inline void give(object value) noexcept:
    if isinstance(value, (tuple, BaseException)):
        value = StopIteration(value)
    torana_set_stop(StopIteration, value)

# ``Ready.__next__`` in the compiled build.
cdef inline PyObject* _next_ready(PyObject* self) noexcept:
    give((<Ready> self).value)
    return NULL

cdef inline void _end_without_traceback() noexcept:
    torana_ready_slot(<void*> Ready, _next_ready)
