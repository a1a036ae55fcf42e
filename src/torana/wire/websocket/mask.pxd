from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memcpy

cdef extern from "Python.h":
    object PyUnicode_New(Py_ssize_t size, Py_UCS4 most)
    void* PyUnicode_DATA(object text)
    object PyUnicode_DecodeUTF8(const char* data, Py_ssize_t size, const char* errors)

# What the compiled build calls: eight bytes at a time, copied and unmasked in one pass. Gives a number in which a bit
# of 0x80 is set in some byte if it is set in some byte of the result: 0 says that all of it is ASCII.
cdef inline unsigned long long free_into(
    unsigned char* target, const unsigned char* source, Py_ssize_t size, unsigned int key
) noexcept nogil:
    cdef unsigned char pad[8]
    cdef unsigned long long word, mask, seen = 0
    cdef Py_ssize_t i = 0
    pad[0] = pad[4] = key >> 24
    pad[1] = pad[5] = (key >> 16) & 0xFF
    pad[2] = pad[6] = (key >> 8) & 0xFF
    pad[3] = pad[7] = key & 0xFF
    memcpy(&mask, pad, 8)
    while i + 8 <= size:
        memcpy(&word, source + i, 8)
        word ^= mask
        seen |= word
        memcpy(target + i, &word, 8)
        i += 8
    while i < size:
        target[i] = source[i] ^ pad[i & 7]
        seen |= target[i]
        i += 1
    return seen & <unsigned long long>0x8080808080808080

cdef inline bytes freed(const unsigned char* data, Py_ssize_t start, Py_ssize_t end, unsigned int key):
    cdef bytes whole = PyBytes_FromStringAndSize(NULL, end - start)
    if end > start:
        free_into(<unsigned char*>PyBytes_AS_STRING(whole), data + start, end - start, key)
    return whole

# ASCII is unmasked straight into the text; all else is decoded from there, and what was there is dropped unseen.
cdef inline str freed_text(const unsigned char* data, Py_ssize_t start, Py_ssize_t end, unsigned int key):
    cdef object text
    cdef unsigned char* target
    if end == start:
        return ""
    text = PyUnicode_New(end - start, 127)
    target = <unsigned char*>PyUnicode_DATA(text)
    if free_into(target, data + start, end - start, key) == 0:
        return <str>text
    return <str>PyUnicode_DecodeUTF8(<const char*>target, end - start, NULL)

cpdef bytes unmasked(bytes data, Py_ssize_t start, Py_ssize_t end, unsigned int key)
cpdef str unmasked_text(bytes data, Py_ssize_t start, Py_ssize_t end, unsigned int key)
cpdef unsigned int rotated(unsigned int key, Py_ssize_t count) noexcept
