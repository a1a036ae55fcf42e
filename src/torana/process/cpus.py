"""``workers = auto``: how many workers this machine, or this container, has room for, and the sum that says why.

The smallest of three: the CPU quota of our control groups (v2 or v1) rounded up, the CPUs we may be scheduled on, and,
once the memory of a worker is known, how often it fits into the memory limit. Files are read, nothing else is done.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator

from msgspec import Struct

#: Of a memory limit, this part is for workers; the rest is for the supervisor, services and the page cache.
_FOR_WORKERS = 0.9
#: From here on a limit of control groups v1 means "none" (it is the largest page-aligned number).
_NO_LIMIT_BYTES = 1 << 60
#: Files of control groups are short.
_LONGEST_FILE = 16384


class CpuCount(Struct, frozen=True):
    """A number of workers, and the sum that led to it as one sentence for the log."""

    workers: int
    arithmetic: str


class _Group(Struct, frozen=True):
    """The directories of one control group, itself first and the outermost last."""

    directories: tuple[str, ...]
    version: int


def worker_count(
    memory_per_worker: int | None = None,
    *,
    cgroup_root: str = "/sys/fs/cgroup",
    membership: str = "/proc/self/cgroup",
    affinity: int | None = None,
    machine: int | None = None,
) -> CpuCount:
    """How many workers to run; ``memory_per_worker`` in bytes, None while it is not known.

    The other arguments are for tests: where control groups are mounted, the file that says which ones are ours, how
    many CPUs we may use and how many there are.
    """
    machine = machine or os.cpu_count() or 1
    usable = affinity or _affinity() or machine
    bounds = [(usable, f"{usable} of {machine} CPUs usable" if usable < machine else _plural(usable, "CPU"))]
    groups = _read(membership)
    quota = _smallest(_quotas(cgroup_root, groups))
    if quota is not None:
        whole = max(1, math.ceil(quota - 1e-9))
        bounds.append((whole, f"a CPU quota of {quota:.4g}" + (f", rounded up to {whole}" if whole != quota else "")))
    limit = _smallest(_memory_limits(cgroup_root, groups))
    if limit is not None and memory_per_worker:
        fit = max(1, int(limit * _FOR_WORKERS / memory_per_worker))
        part = f"{_FOR_WORKERS:.0%} of the memory limit of {_mib(limit)} at {_mib(memory_per_worker)} a worker, {fit}"
        bounds.append((fit, part))
    workers = min(bound for bound, _ in bounds)
    reasons = "; ".join(text for _, text in bounds)
    return CpuCount(workers, f"{_plural(workers, 'worker')}: {'the least of ' if len(bounds) > 1 else ''}{reasons}")


def memory_there_is(*, cgroup_root: str = "/sys/fs/cgroup", membership: str = "/proc/self/cgroup") -> int:
    """Bytes of memory that all of this program may use: the least of what control groups allow and what there is.

    0 where the system does not tell. The arguments are for tests, as those of ``worker_count``.
    """
    bounds = list(_memory_limits(cgroup_root, _read(membership)))
    with contextlib.suppress(AttributeError, OSError, ValueError):
        bounds.append(float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")))
    return int(min((bound for bound in bounds if bound > 0), default=0))


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _mib(size_bytes: float) -> str:
    return f"{size_bytes / (1 << 20):.4g} MiB"


def _affinity() -> int | None:
    """How many CPUs the scheduler may put us on, where the system can tell."""
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return None


def _quotas(root: str, groups: str) -> Iterator[float]:
    """Every CPU quota that binds us, in CPUs."""
    for group in _groups(root, groups, "cpu"):
        for directory in group.directories:
            if group.version == 2:
                quota, _, period = _read(f"{directory}/cpu.max").partition(" ")
            else:
                quota, period = _read(f"{directory}/cpu.cfs_quota_us"), _read(f"{directory}/cpu.cfs_period_us")
            per, of = _number(quota), _number(period)
            if per and of:
                yield per / of


def _memory_limits(root: str, groups: str) -> Iterator[float]:
    """Every memory limit that binds us, in bytes."""
    for group in _groups(root, groups, "memory"):
        names = ("memory.max", "memory.high") if group.version == 2 else ("memory.limit_in_bytes",)
        for directory in group.directories:
            for name in names:
                limit = _number(_read(f"{directory}/{name}"))
                if limit and limit < _NO_LIMIT_BYTES:
                    yield float(limit)


def _groups(root: str, groups: str, controller: str) -> Iterator[_Group]:
    """Our groups in the hierarchies that have a controller; lines are ``number:controllers:path``."""
    for line in groups.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            for mount in (root, f"{root}/unified"):
                yield _Group(_chain(mount, path), 2)
        elif controller in controllers.split(","):
            for name in dict.fromkeys((controllers, controller)):
                yield _Group(_chain(f"{root}/{name}", path), 1)


def _chain(mount: str, path: str) -> tuple[str, ...]:
    """The directories from our group up to the mount: each of them may bind.

    In a container the path is often that of the host, while what is mounted begins at our own group: then the parts
    that are not there are passed over, and the mount itself is ours.
    """
    parts = [part for part in path.split("/") if part]
    if ".." in parts:
        parts = []
    return tuple("/".join((mount, *parts[:depth])) for depth in range(len(parts), -1, -1))


def _smallest(values: Iterator[float]) -> float | None:
    return min(values, default=None)


def _read(path: str) -> str:
    """A small file's text without its line end; "" if it cannot be read."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read(_LONGEST_FILE).strip()
    except (OSError, ValueError):
        return ""


def _number(text: str) -> int | None:
    """A positive number; None for "max", "-1", and anything that is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
