from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF

from torana.exchange.roles cimport Answerer

cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT

    PySendResult PyIter_Send(object iterator, object value, PyObject** result) except PYGEN_ERROR

cdef class Steps(Answerer):
    cdef public object _inner
    cdef object _result
    cdef public object _ahead

    cdef object _call(self)
    cdef object _ended(self, object error, object result)
    cpdef bint go_ahead(self) except -1
    cdef object _take(self, object error)
    cdef object _step(self, object error)

# One step of a coroutine without an exception for its end; steps.py calls it in the compiled build.
cdef inline object _send_none(Steps steps, object over):
    cdef PyObject* result = NULL
    cdef PySendResult how = PyIter_Send(steps._inner, None, &result)
    given = <object> result
    Py_DECREF(given)
    if how == PYGEN_NEXT:
        return given
    steps._result = given
    return over
