"""A profile in the format of container runtimes, made into a filter by libseccomp, as they do it.

Stands alone (no import of ours): a confined process imports it before it executes the command. Never here: running it.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import errno
import os
import struct
import tempfile
from typing import Any

#: seccomp.h of libseccomp and of the kernel.
ALLOW, ERRNO, NOTIFY = 0x7FFF0000, 0x00050000, 0x7FC00000
_ACTIONS = {"SCMP_ACT_ALLOW": ALLOW, "SCMP_ACT_ERRNO": ERRNO}
_COMPARISONS = {"SCMP_CMP_EQ": 4, "SCMP_CMP_MASKED_EQ": 7}
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_SET_MODE_FILTER, _NEW_LISTENER = 1, 1 << 3
_SECCOMP_CALL = {"x86_64": 317, "aarch64": 277}
_NO_NEW_PRIVS = 38
_INSTRUCTION = struct.Struct("HBBI")
_RETURN = 0x06
_UNKNOWN = -1


class _Comparison(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


class _Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def library() -> ctypes.CDLL:
    """libseccomp; raises ``OSError`` where it is not installed."""
    found = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    found.seccomp_init.restype = ctypes.c_void_p
    found.seccomp_syscall_resolve_num_arch.restype = ctypes.c_void_p
    return found


def number_of(name: str, architecture: str) -> int | None:
    """The number of a call; None if that architecture has none of this name."""
    number = int(library().seccomp_syscall_resolve_name_arch(ARCHITECTURES[architecture], name.encode()))
    return number if number >= 0 else None


def name_of(number: int, architecture: str) -> str:
    """The name of a call."""
    text = library().seccomp_syscall_resolve_num_arch(ARCHITECTURES[architecture], number)
    return ctypes.string_at(text).decode() if text else f"call {number}"


def is_known(name: str) -> bool:
    """Whether this libseccomp has heard of a call, on any architecture."""
    return int(library().seccomp_syscall_resolve_name(name.encode())) != _UNKNOWN


def compiled(profile: dict[str, Any], architecture: str) -> bytes:
    """The program for the kernel; raises ``OSError`` for a profile that libseccomp does not take."""
    seccomp = library()
    refused = ERRNO | profile["defaultErrnoRet"]
    context = ctypes.c_void_p(seccomp.seccomp_init(refused))
    try:
        token = ARCHITECTURES[architecture]
        if (native := int(seccomp.seccomp_arch_native()) & 0xFFFFFFFF) != token:
            _check(seccomp.seccomp_arch_add(context, token), architecture)
            _check(seccomp.seccomp_arch_remove(context, native), architecture)
        for rule in profile["syscalls"]:
            _add(seccomp, context, rule)
        with tempfile.TemporaryFile() as file:
            _check(seccomp.seccomp_export_bpf(context, file.fileno()), "export")
            file.seek(0)
            return file.read()
    finally:
        seccomp.seccomp_release(context)


def _add(seccomp: ctypes.CDLL, context: ctypes.c_void_p, rule: dict[str, Any]) -> None:
    action = _ACTIONS[rule["action"]] | rule.get("errnoRet", 0)
    conditions = [
        _Comparison(one["index"], _COMPARISONS[one["op"]], one["value"], one.get("valueTwo", 0))
        for one in rule.get("args", ())
    ]
    table = (_Comparison * len(conditions))(*conditions)
    for name in rule["names"]:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number == _UNKNOWN:
            continue  # newer than this libseccomp: runtimes pass it over too
        _check(seccomp.seccomp_rule_add_array(context, action, number, len(conditions), table), name)


def _check(result: int, what: str) -> None:
    if result < 0:
        raise OSError(-result, os.strerror(-result), what)


def observed(program: bytes, refusal: int = ERRNO | errno.EPERM) -> bytes:
    """The same program, with what it refuses shown to a listener instead."""
    changed = bytearray(program)
    for place in range(0, len(changed), _INSTRUCTION.size):
        code, yes, no, value = _INSTRUCTION.unpack_from(changed, place)
        if code == _RETURN and value == refusal:
            _INSTRUCTION.pack_into(changed, place, code, yes, no, NOTIFY)
    return bytes(changed)


def install(program: bytes, *, is_observed: bool = False) -> int:
    """Put this process, and what it will start, under the program for good; the listener's descriptor, or 0."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_NO_NEW_PRIVS")
    text = ctypes.create_string_buffer(program, len(program))
    about = _Program(len(program) // _INSTRUCTION.size, ctypes.cast(text, ctypes.c_void_p))
    flags = _NEW_LISTENER if is_observed else 0
    answer: int = libc.syscall(_SECCOMP_CALL[os.uname().machine], _SET_MODE_FILTER, flags, ctypes.byref(about))
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "seccomp")
    return answer
