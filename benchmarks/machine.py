"""What this machine is, for the report, and which of its cores the server and the load get. Linux first."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cores:
    """One core for the server, one for everything else; None where the system cannot pin or has only one."""

    server: int | None
    load: int | None


def choose_cores() -> Cores:
    """Two allowed cores that are not two threads of one physical core, as long as there are such."""
    if not hasattr(os, "sched_getaffinity"):
        return Cores(None, None)
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        return Cores(None, None)
    server = allowed[0]
    siblings = _siblings(server)
    others = [core for core in allowed[1:] if core not in siblings]
    return Cores(server, (others or allowed[1:])[0])


def _siblings(core: int) -> set[int]:
    path = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    if not path.exists():
        return {core}
    found: set[int] = set()
    for span in path.read_text().strip().split(","):
        first, _, last = span.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def _cpu_model() -> str:
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _is_virtual() -> bool:
    path = Path("/proc/cpuinfo")
    return path.exists() and " hypervisor" in path.read_text()


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The installed version of each distribution; those not installed are left out."""
    found = {}
    for name in sorted(set(packages)):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def torana_build() -> str:
    """'compiled' or 'pure', by whether the hot rooms were loaded from extension modules."""
    try:
        spec = importlib.util.find_spec("torana.wire.http1.parser")
    except ModuleNotFoundError:
        return "not installed"
    if spec is None or spec.origin is None:
        return "not installed"
    return "pure" if spec.origin.endswith(".py") else "compiled"


def describe(packages: Iterable[str], cores: Cores) -> dict[str, object]:
    """Everything a reader needs to judge the numbers; no host name and no path."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "virtual_machine": _is_virtual(),
        "server_core": cores.server,
        "load_core": cores.load,
        "kernel": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "free_threaded": not getattr(sys, "_is_gil_enabled", lambda: True)(),
        "load_average_at_start": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "torana_build": torana_build(),
        "packages": versions(packages),
    }


def host_kind() -> str:
    """A file name part: system, architecture, cores, virtual or not."""
    kind = "vm" if _is_virtual() else "metal"
    return f"{platform.system()}-{platform.machine()}-{os.cpu_count()}core-{kind}".lower()
