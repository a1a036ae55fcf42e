"""Why a process died, as a sentence: its exit code, the signal, and whether the kernel ended it for lack of memory.

The kernel does not say so to anybody; it counts. What a cgroup's counter of memory kills was before and is after the
death tells. Never here: waiting for processes, restarting them.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from torana.process import exit_codes

#: Where cgroups are, and which of them are ours.
_ROOT = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")

#: A v1 cgroup without a limit says a number near 2**63.
_NO_LIMIT = 1 << 60

_FAULTS = {
    "SIGSEGV": "a memory fault in native code",
    "SIGBUS": "a memory fault in native code, or a mapped file that became shorter",
    "SIGILL": "an instruction that this processor does not have",
    "SIGFPE": "an arithmetic fault in native code",
}
_SIGNALS = {
    "SIGABRT": "it gave up by itself (abort)",
    "SIGSYS": "a system call that a security filter forbids",
    "SIGXCPU": "its limit of processor time is spent (ulimit -t)",
    "SIGXFSZ": "a file grew over the limit (ulimit -f)",
    "SIGKILL": "somebody outside ended it",
    "SIGTERM": "somebody outside ended it",
}
_CODES = {
    exit_codes.FAILED: "an unexpected failure",
    exit_codes.BAD_CONFIGURATION: "bad configuration",
    exit_codes.NOT_LOADED: "the application could not be loaded, or refused to start",
    exit_codes.NOT_BOUND: "an address could not be bound",
}


class Usage(Protocol):
    """What is asked of ``resource.struct_rusage``, as ``os.wait4`` gives it."""

    @property
    def ru_maxrss(self) -> int: ...


class MemoryEvents(Struct, frozen=True):
    """What the kernel says about the memory of our cgroup."""

    #: Processes it has ended for lack of memory, in all.
    kills: int
    #: The lowest limit that holds for us, or None.
    limit_bytes: int | None


def memory_events(root: Path = _ROOT, membership: Path = _MEMBERSHIP) -> MemoryEvents | None:
    """The present count and limit; None where there are no cgroups, or none that says."""
    try:
        lines = membership.read_text(errors="replace").splitlines()
    except OSError:
        return None
    paths = {}
    for line in lines:
        # hierarchy:controllers:path; version 2 has hierarchy 0 and names no controllers.
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if "memory" in controllers.split(","):
            paths["memory"] = path
        elif number == "0" and not controllers:
            paths[""] = path
    if "memory" in paths:
        return _read(root / "memory", paths["memory"], "memory.oom_control", "memory.limit_in_bytes")
    if "" in paths:
        return _read(root, paths[""], "memory.events", "memory.max")
    return None


def _read(mount: Path, path: str, counts: str, limit: str) -> MemoryEvents | None:
    """One hierarchy; in a container the mount may begin at our own cgroup though its path says otherwise."""
    parts = [part for part in path.split("/") if part and part != ".."]
    folder = mount.joinpath(*parts)
    if not (folder / counts).exists():
        parts, folder = [], mount
    kills = _count(folder / counts)
    if kills is None:
        return None
    limits = [_number(mount.joinpath(*parts[:depth]) / limit) for depth in range(len(parts) + 1)]
    return MemoryEvents(kills, min((found for found in limits if found is not None), default=None))


def _count(file: Path) -> int | None:
    try:
        for line in file.read_text(errors="replace").splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill" and value.isascii() and value.isdecimal():
                return int(value)
    except OSError:
        pass
    return None


def _number(file: Path) -> int | None:
    try:
        text = file.read_text(errors="replace").strip()
    except OSError:
        return None
    number = int(text) if text.isascii() and text.isdecimal() else _NO_LIMIT
    return number if number < _NO_LIMIT else None


def describe(
    pid: int,
    status: int,
    usage: Usage | None = None,
    before: MemoryEvents | None = None,
    after: MemoryEvents | None = None,
    *,
    sent: int = 0,
) -> str:
    """Why a process died, to stand after its name and number: "killed by signal 9 (SIGKILL): ...".

    ``status``: as ``os.wait4`` gives it, with ``usage``. ``before``, ``after``: ``memory_events`` at any time before
    the death, and since. ``sent``: the signal that we ourselves sent it last, or 0.
    """
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        meaning = _CODES.get(code, "")
        return f"exited with code {code}" + (f" ({meaning})" if meaning else "")
    name = _name(-code)
    core = ", core dumped" if os.WCOREDUMP(status) else ""
    return f"killed by signal {-code} ({name}{core}): {_cause(pid, -code, name, before, after, sent)}{_peak(usage)}"


def _cause(pid: int, number: int, name: str, before: MemoryEvents | None, after: MemoryEvents | None, sent: int) -> str:
    if number == sent:
        return "sent by this server"
    if name == "SIGKILL" and after is not None and after.kills > (before.kills if before is not None else 0):
        where = f"limit {_size(after.limit_bytes)}" if after.limit_bytes is not None else "no limit is set: all of it"
        return f"the kernel ended it for lack of memory ({where})"
    if name in _FAULTS:
        return f'{_FAULTS[name]}; its stacks stand above, after "Fatal Python error" (process {pid})'
    return _SIGNALS.get(name, "nobody asked for it here")


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "no name"


def _peak(usage: Usage | None) -> str:
    if usage is None or usage.ru_maxrss <= 0:
        return ""
    # Kibibytes, but on macOS bytes.
    peak = usage.ru_maxrss if sys.platform == "darwin" else usage.ru_maxrss * 1024
    return f"; it had used up to {_size(peak)}"


def _size(size_bytes: int) -> str:
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.4g} {unit}"
    return f"{max(1, size_bytes >> 10)} KiB"
