"""What another process has open, read from /proc while it goes on opening and closing."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path


def descriptors(pid: int) -> dict[int, str]:
    """What a process has open, by number; standard input, output and error left out.

    Also left out is what the kernel tells in files (under /proc and /sys): it is opened, read and closed at once, and
    whether that is just happening says nothing; and libraries, which newer versions of libffi read themselves by.
    """
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        # Closed since the folder was listed.
        with contextlib.suppress(FileNotFoundError):
            found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
    return {
        fd: target
        for fd, target in found.items()
        if fd > 2 and not target.startswith(("/proc/", "/sys/")) and ".so." not in target
    }


def inherited(pid: int) -> dict[int, str]:
    """What a program that a process executes would get of its descriptors."""
    found = {}
    for fd, target in descriptors(pid).items():
        with contextlib.suppress(FileNotFoundError):
            told = re.search(r"^flags:\s*(\d+)$", Path(f"/proc/{pid}/fdinfo/{fd}").read_text(), re.MULTILINE)
            assert told is not None
            if not int(told[1], 8) & os.O_CLOEXEC:
                found[fd] = target
    return found
