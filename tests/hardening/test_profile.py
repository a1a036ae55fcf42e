"""The list itself: current wherever it was copied to, understood by libseccomp, whole on both architectures."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.support.server import REPOSITORY

DEPLOY = REPOSITORY / "deploy"

#: Calls that aarch64 never had, and what does the same there.
SUCCESSORS = {
    "open": "openat", "stat": "newfstatat", "lstat": "newfstatat", "access": "faccessat", "readlink": "readlinkat",
    "mkdir": "mkdirat", "rmdir": "unlinkat", "unlink": "unlinkat", "rename": "renameat2", "link": "linkat",
    "symlink": "symlinkat", "chmod": "fchmodat", "chown": "fchownat", "lchown": "fchownat", "fork": "clone",
    "vfork": "clone", "pipe": "pipe2", "dup2": "dup3", "poll": "ppoll", "select": "pselect6",
    "epoll_create": "epoll_create1", "epoll_wait": "epoll_pwait", "getpgrp": "getpgid", "pause": "ppoll",
    "time": "clock_gettime", "arch_prctl": None, "renameat": "renameat2",
}  # fmt: skip
#: Later than some libseccomp that is still in use.
NEW = {"fchmodat2", "futex_waitv", "epoll_pwait2"}


def profile() -> dict[str, Any]:
    """As container runtimes read it."""
    read: dict[str, Any] = json.loads((DEPLOY / "seccomp.json").read_text())
    return read


def names() -> set[str]:
    """Every call that is allowed in some way."""
    return {name for rule in profile()["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}


def test_copies_of_the_list_are_current() -> None:
    done = subprocess.run([sys.executable, DEPLOY / "seccomp.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_profile_refuses_by_default_and_names_no_call_twice() -> None:
    read = profile()
    assert (read["defaultAction"], read["defaultErrnoRet"]) == ("SCMP_ACT_ERRNO", 1)
    plain = [name for rule in read["syscalls"] if "args" not in rule for name in rule["names"]]
    assert len(plain) == len(set(plain))
    narrow = {name for rule in read["syscalls"] if "args" in rule for name in rule["names"]}
    assert narrow == {"clone", "socket"} and not narrow & set(plain)


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
def test_libseccomp_takes_it(architecture: str) -> None:
    libseccomp = loaded()
    assert {name for name in names() if not libseccomp.is_known(name)} <= NEW
    program = libseccomp.compiled(profile(), architecture)
    assert 0 < len(program) // 8 <= 4096  # the kernel's limit


def test_what_an_architecture_lacks_has_a_successor_in_the_list() -> None:
    libseccomp = loaded()
    lacking = {name for name in names() - NEW if libseccomp.number_of(name, "aarch64") is None}
    assert lacking <= SUCCESSORS.keys()
    assert {SUCCESSORS[name] for name in lacking} - {None} <= names()


def loaded() -> Any:
    """The library's functions, or a skip."""
    from tests.hardening import libseccomp

    try:
        libseccomp.library()
    except OSError as error:
        pytest.skip(f"libseccomp: {error}")
    return libseccomp
