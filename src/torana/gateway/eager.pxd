from cpython.contextvars cimport PyContext_Enter, PyContext_Exit
from cpython.object cimport PyObject_GenericSetAttr

from torana.gateway.steps cimport Steps

cdef extern from "Python.h":
    object PyType_GenericAlloc(type kind, Py_ssize_t count)

# context.run(steps.go_ahead) without a bound method; eager.py calls it in the compiled build.
cdef inline bint run_in(object context, Steps steps) except -1:
    PyContext_Enter(context)
    try:
        return steps.go_ahead()
    finally:
        PyContext_Exit(context)

# As ``__new__`` and the slot's ``__set__``, past the overridden ``__setattr__``.
cdef inline object unmade(type kind, tuple early):
    cdef object task = PyType_GenericAlloc(kind, 0)
    PyObject_GenericSetAttr(task, "_early", early)
    return task

cdef dict _entered

cpdef make(object task)
cpdef object start_waiting(Steps steps, object loop, str name, object context)
cpdef object start(Steps steps, object loop, str name, object context)
