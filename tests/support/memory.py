"""Resident memory of a server process and its children, read from /proc; tests are skipped where there is none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROC = Path("/proc")


def require_proc() -> None:
    """Skip the test on a machine without /proc."""
    if not (PROC / "self" / "status").exists():
        pytest.skip("needs /proc to read a process's resident memory")


def resident_bytes(pid: int) -> int:
    """Resident memory (VmRSS) of a process and all below it."""
    return sum(_resident_bytes_of_one(one) for one in _with_descendants(pid))


def _resident_bytes_of_one(pid: int) -> int:
    try:
        status = (PROC / str(pid) / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _with_descendants(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        for children in (PROC / str(one) / "task").glob("*/children"):
            found.extend(int(child) for child in _read(children).split())
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


class Watch:
    """The highest resident memory seen, compared with what it was at the start."""

    def __init__(self, pid: int) -> None:
        require_proc()
        self._pid = pid
        self.start_bytes = resident_bytes(pid)
        self.highest_bytes = self.start_bytes

    def look(self) -> None:
        """Take one sample."""
        self.highest_bytes = max(self.highest_bytes, resident_bytes(self._pid))

    @property
    def growth_bytes(self) -> int:
        """How far the highest sample lies above the first."""
        return self.highest_bytes - self.start_bytes
