from torana.net.outlet cimport FilePiece
from torana.serve.http2.loan cimport Loan, new_loan
from torana.serve.http2.sending cimport Sending

cdef class Answering(Sending):
    cpdef replay(self)
    cpdef finish(self)
    cpdef settle(self)
    cpdef forget(self)
    cdef _borrower_says(self, tuple act, Py_ssize_t size, bint is_end)
    cdef _returned(self)
    cdef _do(self, tuple act, Loan loan)
    cpdef _hand_on(self)
