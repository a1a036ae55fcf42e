"""System calls of a running server that fail: strace is attached to it, and makes some of them return an error.

Lives here: attaching, one round of all kinds of traffic, whose every failure is told. Never here: verdicts.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.raw import Connection
from tests.support.server import Server
from tests.support.supervised import until
from tests.support.websocket_raw import BINARY, RawSocket, close_frame, frame

#: Beyond limit_spool, so that a body for WSGI goes to disk.
UPLOAD = b"u" * 600_000
TIMEOUT_S = 5.0


def require_strace() -> str:
    """Its path; the test is skipped without it."""
    found = shutil.which("strace")
    if found is None:
        pytest.skip("needs strace")
    return found


class Failing:
    """Attached to a process and its threads."""

    def __init__(self, tracer: subprocess.Popen[str], pid: int, lines: Path) -> None:
        self._tracer = tracer
        self._pid = pid
        self._lines = lines
        self._heard = threading.Thread(target=self._hear, daemon=True)
        self._attached = threading.Event()
        self.said = ""

    def begin(self) -> None:
        """Wait until it is attached."""
        self._heard.start()
        assert self._attached.wait(TIMEOUT_S), self.said
        if self._tracer.poll() is not None and "Operation not permitted" in self.said:
            pytest.skip("may not trace processes")
        assert self._tracer.poll() is None, self.said

    def end(self) -> None:
        """Detach, while every thread stands still.

        strace makes a call fail by having the kernel look for one that does not exist, and puts the error in
        afterwards: let go in between, the process hears ENOSYS.
        """
        os.kill(self._pid, signal.SIGSTOP)
        threads = len(os.listdir(f"/proc/{self._pid}/task"))
        until(lambda: self._tracer.poll() is not None or self._standing() >= threads, "all threads stand still")
        self._tracer.send_signal(signal.SIGINT)
        self._tracer.wait()
        os.kill(self._pid, signal.SIGCONT)
        self._heard.join()

    def _standing(self) -> int:
        return self._lines.read_text(errors="replace").count("--- stopped by SIGSTOP ---")

    def count(self) -> int:
        """How many calls have failed so far."""
        return self._lines.read_text(errors="replace").count("(INJECTED)")

    def _hear(self) -> None:
        assert self._tracer.stderr is not None
        for line in self._tracer.stderr:
            self.said += line
            if " attached" in line:
                self._attached.set()
        self._attached.set()


@contextlib.contextmanager
def failing(pid: int, call: str, error: str, place: Path, when: str = "1+3") -> Iterator[Failing]:
    """While the block runs, ``call`` of ``pid`` and its threads fails with ``error``; ``when``: each thread's which."""
    lines = place / "strace.out"
    command = [require_strace(), "-f", "-p", str(pid), "-o", str(lines), "-e", f"trace={call}"]
    inject = f"inject={call}:error={error}:when={when}"
    tracer = subprocess.Popen([*command, "-e", inject], stderr=subprocess.PIPE, text=True)
    found = Failing(tracer, pid, lines)
    try:
        found.begin()
        yield found
    finally:
        found.end()


def _answer(server: Server, *request: str, body: bytes | None = None) -> bytes:
    with Connection(server.address, timeout_s=TIMEOUT_S) as connection:
        answer = connection.ask(*request, body=body)  # type: ignore[arg-type]
        assert answer.status == 200, answer.status
        assert answer.is_complete, "cut short"
        return answer.body


def _kept(server: Server, _: Path) -> None:
    with Connection(server.address, timeout_s=TIMEOUT_S) as connection:
        for _ in range(4):
            assert connection.ask("GET", "/").body == b"0"


def _upload(server: Server, _: Path) -> None:
    assert _answer(server, "POST", "/", body=UPLOAD) == b"%d" % len(UPLOAD)


def _spooled(server: Server, _: Path) -> None:
    assert _answer(server, "POST", "/wsgi/", body=UPLOAD) == b"%d" % len(UPLOAD)


def _file(server: Server, file: Path) -> None:
    assert _answer(server, "GET", "/file") == file.read_bytes()


def _socket(server: Server, _: Path) -> None:
    with RawSocket(server.address, timeout_s=TIMEOUT_S) as connection:
        assert connection.open("/").status == 101
        connection.send(frame(BINARY, b"hello"))
        assert connection.read_frame().payload == b"hello"
        connection.send(close_frame())
        assert connection.read_frame().code == 1000


KINDS: dict[str, Callable[[Server, Path], None]] = {
    "kept": _kept, "upload": _upload, "spooled": _spooled, "file": _file, "socket": _socket,
}  # fmt: skip


def round_of_all(server: Server, file: Path) -> dict[str, str]:
    """One of each kind; what went wrong, by its kind: nothing is wrong that is not here."""
    wrong = {}
    for kind, ask in KINDS.items():
        try:
            ask(server, file)
        except (OSError, EOFError, AssertionError) as error:
            wrong[kind] = repr(error)[:200]
    return wrong
