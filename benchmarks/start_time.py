"""Start to first answer: from the moment before the process is spawned to the status line of its first 200."""

from __future__ import annotations

import socket
import statistics
import time
from dataclasses import dataclass

from benchmarks.machine import Cores
from benchmarks.servers import Launch, Server
from benchmarks.spawn import Running, ServerFailedError, free_port, start
from benchmarks.works import Work

TARGET_S = 0.25
_LIMIT_S = 20.0
_POLL_S = 0.001
_REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


@dataclass
class StartOutcome:
    """All measured seconds of one server, or the problem that prevented them."""

    server: str
    interface: str
    seconds: list[float]
    problem: str = ""

    @property
    def median_s(self) -> float:
        """The middle one."""
        return statistics.median(self.seconds)


def measure(server: Server, work: Work, cores: Cores, times: int) -> StartOutcome:
    """Start it once unmeasured (byte code and page cache), then `times` times."""
    outcome = StartOutcome(server.name, work.interface, [])
    try:
        for index in range(times + 1):
            seconds = start_once(server, work, cores)
            if index:
                outcome.seconds.append(seconds)
    except ServerFailedError as error:
        outcome.problem = str(error)
    return outcome


def start_once(server: Server, work: Work, cores: Cores) -> float:
    """Seconds of one start, measured whoever asks."""
    launch = Launch(work.app, work.interface, free_port())
    began = time.perf_counter()
    started = start(server, launch, cores.server)
    try:
        _wait_answer(started, began + _LIMIT_S)
        return time.perf_counter() - began
    finally:
        started.stop()


def _wait_answer(started: Running, deadline: float) -> None:
    while time.perf_counter() < deadline:
        line = _ask(int(started.launch.port))
        if line.startswith(b"HTTP/1.1 200"):
            return
        if line:
            raise ServerFailedError(f"first answer is {line[:40]!r}")
        if started.process.poll() is not None:
            raise ServerFailedError(f"ended with {started.process.returncode}: {started.output()}")
        time.sleep(_POLL_S)
    raise ServerFailedError(f"no answer after {_LIMIT_S} s: {started.output()}")


def _ask(port: int) -> bytes:
    """The first bytes of an answer, or nothing if nobody is there yet."""
    try:
        with socket.create_connection(("127.0.0.1", port), _LIMIT_S) as client:
            client.sendall(_REQUEST)
            return client.recv(4096)
    except OSError:
        return b""
