from cpython.contextvars cimport PyContext_Enter, PyContext_Exit

from torana.gateway.steps cimport Steps

# context.run(steps.go_ahead) without a bound method; eager.py calls it in the compiled build.
cdef inline bint run_in(object context, Steps steps) except -1:
    PyContext_Enter(context)
    try:
        return steps.go_ahead()
    finally:
        PyContext_Exit(context)

cdef dict _entered

cpdef make(object task)
cpdef object start(Steps steps, object loop, str name, object context)
