from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF

from torana.exchange.roles cimport Answerer

cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT

    PySendResult PyIter_Send(object iterator, object value, PyObject** result) except PYGEN_ERROR

# One step of a coroutine without an exception for its end; steps.py calls it in the compiled build.
cdef inline object _send_none(object inner, object over):
    cdef PyObject* result = NULL
    cdef PySendResult how = PyIter_Send(inner, None, &result)
    given = <object> result
    Py_DECREF(given)
    if how == PYGEN_NEXT:
        return given
    if given is None:
        return over
    raise StopIteration(given)

cdef class Steps(Answerer):
    cdef public object _inner

    cdef object _call(self)
    cdef object _ended(self, object error, object result)
    cdef object _step(self, object error)
