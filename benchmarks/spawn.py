"""Starts one server pinned to its core, says what its processes cost, and always stops all of them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO

from benchmarks.servers import Launch, Server

ROOT = Path(__file__).resolve().parent.parent
STOP_S = 5.0


class ServerFailedError(Exception):
    """The server ended, or did not answer, or answered wrongly; the text holds the end of its output."""


def free_port() -> int:
    """A port nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pin_to(core: int | None) -> None:
    """Keep this process, and those it starts, on one core."""
    if core is not None:
        os.sched_setaffinity(0, {core})


class Running:
    """A started server: itself and every process of its session."""

    def __init__(self, process: subprocess.Popen[bytes], output: IO[bytes], launch: Launch) -> None:
        self.process = process
        self.launch = launch
        self._output = output

    def pids(self) -> list[int]:
        """All living processes of the session that the server leads (Linux; elsewhere the server alone)."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == self.process.pid and fields[0] != "Z":
                found.append(int(entry.name))
        return found or [self.process.pid]

    def cpu_s(self) -> float:
        """User and system seconds its processes have used so far; 0.0 where /proc is missing."""
        ticks = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def rss_bytes(self) -> int:
        """Resident memory of all its processes, shared pages counted in each."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return total

    def output(self) -> str:
        """The last lines it printed, without this machine's folders: they end up in reports."""
        self._output.seek(0)
        text = self._output.read().decode(errors="replace")
        for folder in (str(ROOT), sys.prefix, sys.base_prefix):
            text = text.replace(folder + os.sep, "")
        return "\n".join(text.splitlines()[-12:])

    def wait_listening(self, limit_s: float = 20.0) -> None:
        """Return once a connection is accepted; ServerFailedError if it ends first or takes longer."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise ServerFailedError(f"ended with {self.process.returncode}: {self.output()}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(self.launch.port)), 1.0):
                return
            time.sleep(0.02)
        raise ServerFailedError(f"not listening after {limit_s} s: {self.output()}")

    def stop(self) -> None:
        """TERM to the leader, then KILL to what is left of the session."""
        survivors = self.pids() if self.process.poll() is None else []
        if survivors:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_S)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._output.close()


def start(server: Server, launch: Launch, core: int | None, prefix: tuple[str, ...] = ()) -> Running:
    """Start it and return at once. `prefix` is a program to run it under, such as a profiler."""
    command = [sys.executable if part == "python" else part for part in (*prefix, *server.command(launch))]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    output = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=partial(pin_to, core),
    )
    return Running(process, output, launch)


@contextlib.contextmanager
def running(server: Server, launch: Launch, core: int | None) -> Iterator[Running]:
    """A server that accepts connections, stopped on the way out whatever happens."""
    started = start(server, launch, core)
    try:
        started.wait_listening()
        yield started
    finally:
        started.stop()


def shown(server: Server, launch: Launch) -> str:
    """The command line as the report prints it."""
    return " ".join(server.command(launch))
