"""G-096: whatever a system call returns, one request suffers at the most, and the worker serves on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.server import REPOSITORY, Server, running
from tests.support.supervised import until
from tests.threats.faults import failing, require_strace, round_of_all
from tests.threats.stage import Vitals

SITE = "tests.threats.sites.faults_site"
#: What each call of a serving worker may return, most of it seldom. A line a call: reason enough to be tried.
ERRORS: dict[str, tuple[str, ...]] = {
    "accept4": ("EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "ECONNABORTED", "EPROTO", "EINTR", "EPERM"),
    "recvfrom": ("EINTR", "EAGAIN", "ENOMEM", "ENOBUFS", "ECONNRESET", "ETIMEDOUT", "EIO"),
    "sendto": ("EINTR", "EAGAIN", "ENOMEM", "ENOBUFS", "EPIPE", "ECONNRESET", "EIO"),
    "epoll_ctl": ("ENOMEM", "ENOSPC"),
    "ioctl": ("EIO",),
    "epoll_wait": ("EINTR",),
    "getsockname": ("ENOBUFS",),
    "shutdown": ("ENOTCONN", "EINVAL"),
    "sendfile": ("EINTR", "EAGAIN", "EIO", "ENOMEM", "EPIPE", "EINVAL"),
    "openat": ("EMFILE", "ENFILE", "ENOMEM", "EACCES", "EIO", "ENOSPC"),
    "write": ("EINTR", "ENOSPC", "EIO", "EDQUOT"),
    "newfstatat": ("EIO", "ENOMEM"),
    "lseek": ("EIO",),
    "read": ("EINTR", "EIO"),
}


#: Until the call has failed a few times.
_MOST_ROUNDS = 10


class Place(NamedTuple):
    """A server, and the file it sends."""

    server: Server
    file: Path
    folder: Path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    require_strace()
    folder = tmp_path_factory.mktemp("faults")
    file = folder / "file"
    file.write_bytes(os.urandom(1_000_000))
    # uvloop ends the process when it cannot wake itself up.
    flags = ("--mount", f"/wsgi={SITE}:wsgi", "--lifespan", "off", "--threads", "2", "--loop", "asyncio")
    with running(f"{SITE}:app", *flags, app_dir=REPOSITORY, environment={"FILE": str(file)}) as server:
        for _ in range(3):  # Until all threads and files are there.
            assert round_of_all(server, file) == {}
        yield Place(server, file, folder)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        pytest.param(
            call, error,
            marks=pytest.mark.threat(
                "G-096", sent=f"{call} fails with {error}", verdict="the worker serves on, and nothing is left behind"
            ),
        )
        for call, errors in ERRORS.items() for error in errors
    ],
)  # fmt: skip
def test_a_call_that_fails(place: Place, call: str, error: str) -> None:
    server = place.server
    mark = server.mark()
    before = Vitals.of(server.pid).descriptors
    with failing(server.pid, call, error, place.folder) as failed:
        for _ in range(_MOST_ROUNDS):
            round_of_all(server, place.file)
            if failed.count() > 1:
                break
    assert failed.count(), f"{call} was never called"
    assert server.process.poll() is None, server.log[-4000:]
    assert round_of_all(server, place.file) == {}
    until(lambda: Vitals.of(server.pid).descriptors <= before, "its descriptors are given back")
    assert len(server.log_since(mark)) < 40_000
