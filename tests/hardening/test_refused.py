"""What is not in the list fails with EPERM, in the application too, whatever privileges it may have got."""

from __future__ import annotations

import json
import os
from pathlib import Path

import httpx
import pytest

from tests.hardening.libseccomp import number_of
from tests.hardening.room import room

FORBIDDEN = """
    ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd perf_event_open mount umount2 move_mount fsopen
    pivot_root chroot setns unshare mknodat kexec_load kexec_file_load init_module finit_module delete_module reboot bpf
    userfaultfd io_uring_setup io_uring_enter io_uring_register keyctl add_key request_key setuid setgid setgroups
    setresuid setresgid setreuid setregid setfsuid setfsgid capset clock_settime settimeofday adjtimex sethostname
    setdomainname swapon swapoff acct quotactl syslog personality fanotify_init open_by_handle_at name_to_handle_at
    sched_setscheduler setpriority ioprio_set mbind set_mempolicy move_pages vmsplice shmget semget msgget mq_open
    lookup_dcookie setrlimit seccomp process_madvise
""".split()  # fmt: skip


def numbers() -> dict[str, int]:
    """Those that this machine has, with their numbers."""
    found = {name: number_of(name, os.uname().machine) for name in FORBIDDEN}
    return {name: number for name, number in found.items() if number is not None}


@pytest.mark.parametrize("is_watched", [True, False], ids=["seen", "to-the-letter"])
def test_forbidden_calls_fail(tmp_path: Path, is_watched: bool) -> None:
    with room(tmp_path, is_watched=is_watched) as made, made.running("asgi_deeds:app", "--workers", "1") as server:
        wanted = numbers()
        assert len(wanted) > 50
        path = ",".join(f"{name}:{number}" for name, number in wanted.items())
        assert httpx.get(f"{server.origin}/calls/{path}").json() == dict.fromkeys(wanted, "EPERM")
        if made.watcher is not None:
            # The filter said so, and not a lack of privileges.
            assert made.watcher.names() >= wanted.keys()


def test_what_an_intruder_would_try(tmp_path: Path) -> None:
    with room(tmp_path, is_watched=False) as made, made.running("wsgi_deeds:app", "--workers", "1") as server:
        found = json.loads(httpx.get(f"{server.origin}/forbidden").text)
        clone3 = httpx.get(f"{server.origin}/calls/clone3:{number_of('clone3', os.uname().machine)}").json()
    assert (found.pop("write"), found.pop("etc"), found.pop("tmp")) == ("EROFS", "EROFS", "done")
    assert found == dict.fromkeys(found, "EPERM")
    assert clone3 == {"clone3": "ENOSYS"}
