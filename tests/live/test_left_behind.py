"""What is left when a part of the server is gone: children of workers, workers of a supervisor, resources that ran out.

Nothing keeps the port, nothing goes on for ever, nobody spins; and what can come back comes back.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.descriptors import descriptors
from tests.support.faulty import Asked, Faulty, asking
from tests.support.load import loading
from tests.support.server import Server, child_environment, command_for
from tests.support.supervised import (
    answering,
    children_of,
    ended,
    is_there,
    ready_workers,
    supervised,
    until,
    wait_for_replacement,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def faulty(tmp_path: Path) -> Faulty:
    return Faulty(tmp_path)


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every user may look into, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


@contextlib.contextmanager
def run_by(command: list[str], place: Path, *flags: str) -> Iterator[Server]:
    """A server that another command starts."""
    words = [*command, *command_for("site_one:app", "--log-level", "debug", *flags)]
    server = Server(words, place, child_environment())
    try:
        server.wait_until_ready()
        server.wait_for_log("All workers")
        yield server
    finally:
        server.kill()


def cpu_s(pid: int) -> float:
    """Processor time that a process has taken."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def internet_sockets_of(pid: int) -> set[str]:
    """Sockets of TCP that a process holds, whether they listen or are connected."""
    rows = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    known = {f"socket:[{row.split()[9]}]" for row in rows}
    return known & set(descriptors(pid).values())


@pytest.mark.threat(
    "G-108", sent="an application that starts processes", verdict="they hold no descriptor of the server"
)
@pytest.mark.parametrize("loop", ["asyncio", "auto"])
def test_a_child_of_a_worker_has_nothing_of_the_server(faulty: Faulty, loop: str) -> None:
    try:
        with supervised(faulty.place, "--loop", loop, workers=2) as server:
            workers = children_of(server.pid)
            with asking(server.address, "/later/1", "/later/1", "/do/have_child") as asked:
                # All are told that the connection ends, though the child was there when it was open.
                assert all(b" 200 " in one.answer() for one in asked)
            child = faulty.done("child")
            assert not internet_sockets_of(child) and internet_sockets_of(server.pid)
            os.kill(child, signal.SIGTERM)
            until(lambda: not is_there(child), "the child has ended by its signal")
            until(lambda: children_of(server.pid) == workers == answering(server), "all workers answer")
            Asked(server.address, "/do/have_child").answer()
            child = faulty.done("child", 2)
        assert "it was sent SIGTERM" not in server.log
        with supervised(faulty.place, "--bind", f"127.0.0.1:{server.port}", workers=1):
            assert is_there(child)
    finally:
        for pid in faulty.pids("child"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.threat(
    "G-095", sent="the supervisor as process 1, with strangers that end", verdict="reaped, whatever their exit code"
)
def test_as_process_1_strangers_are_reaped_and_mean_nothing(faulty: Faulty) -> None:
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("needs unshare")
    command = [unshare, "--pid", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("this user may not make a pid namespace (unshare)")
    with run_by(command, faulty.place, "--workers", "2") as server:
        until(lambda: len(children_of(server.pid)) == 1, "the first process of the namespace")
        (first,) = children_of(server.pid)
        mark = server.mark()
        assert Asked(server.address, "/do/have_children/256").answer() == b""
        faulty.done("orphan", 256)
        server.wait_for_log("died: exited with code 5", since=mark)
        wait_for_replacement(server, mark)
        # While they are there, and when they have ended.
        until(lambda: len(answering(server)) == 2, "all workers answer")
        until(lambda: len(children_of(first)) == 2, "all strangers are reaped")
        until(lambda: len(answering(server)) == 2, "all workers answer")
        # They are reaped first.
        until(lambda: server.log_since(mark).count("not ours, has ended") == 256, "each is told")
        assert server.log_since(mark).count("died") == 1
        os.kill(first, signal.SIGTERM)
        assert ended(server) == 0


@pytest.mark.threat("G-095", sent="the supervisor killed while its workers hang", verdict="all processes end")
def test_workers_of_a_killed_supervisor_end_even_if_they_hang(faulty: Faulty) -> None:
    flags = ("--timeout-graceful", "3", "--timeout-cancel", "0.5", "--timeout-shutdown", "0.5")
    with supervised(faulty.place, *flags, workers=3, expect_exit=None) as server:
        workers = ready_workers(server)
        with asking(server.address, "/do/spin"):
            hung = faulty.done("spin")
            with asking(server.address, "/later/0.5") as (asked,):
                other = faulty.done("later")
                assert other != hung
                os.kill(server.pid, signal.SIGKILL)
                assert b" 200 " in asked.answer()
            until(lambda: not any(is_there(pid) for pid in workers if pid != hung), "the healthy ones have ended")
            until(lambda: not is_there(hung), "the one that hangs has ended", 40)
        with supervised(faulty.place, "--bind", f"127.0.0.1:{server.port}", workers=1) as again:
            assert len(answering(again)) == 1


@pytest.mark.threat("G-089", sent="a worker stopped by STOP for a while", verdict="its queue is served once it goes on")
def test_a_stopped_worker_is_waited_for_and_its_queue_is_served(faulty: Faulty) -> None:
    with supervised(faulty.place, workers=3) as server:
        workers = children_of(server.pid)
        with asking(server.address, "/later/0.2") as (asked,):
            stopped = faulty.done("later")
            os.kill(stopped, signal.SIGSTOP)
            try:
                with loading(server.address, kept=0, fresh=8, pause_s=0.002) as load:
                    load.wait_for_answers(50)
                    end = time.monotonic() + 4
                    while time.monotonic() < end:
                        load.wait_for_answers(50)
                    assert stopped not in load.tally.by_worker
            finally:
                os.kill(stopped, signal.SIGCONT)
            assert asked.answer().endswith(b" %d text" % stopped)
        assert not load.tally.failures, load.tally.describe()
        until(lambda: answering(server, tries=20) == workers, "it serves its own queue again")
        assert children_of(server.pid) == workers


def limit_processes(command: list[str], pid: int, count: int) -> None:
    """Limit what a process of another user may fork."""
    script = f"import resource; resource.prlimit({pid}, resource.RLIMIT_NPROC, ({count}, 64))"
    subprocess.run([*command, sys.executable, "-c", script], check=True)


@pytest.mark.threat("G-094", sent="no more processes allowed", verdict="those that run serve on")
def test_no_more_processes_for_this_user(public: Path) -> None:
    """A real limit, which holds for a user who is not root."""
    setpriv = shutil.which("setpriv")
    if os.getuid() or setpriv is None:
        pytest.skip("needs root, and setpriv to become somebody who is nobody else")
    user = 54321
    command = [setpriv, "--reuid", str(user), "--clear-groups"]
    tried = subprocess.run(
        [*command, *command_for("site_one:app", "--help")], env=child_environment(), capture_output=True
    )
    if tried.returncode:
        pytest.skip("another user may not run this Python")
    Faulty(public)
    with run_by(command, public, "--workers", "2") as server:
        victim = ready_workers(server)[0]
        before = descriptors(server.pid)
        limit_processes(command, server.pid, 1)
        mark = server.mark()
        os.kill(victim, signal.SIGKILL)
        for count in (1, 2, 3):
            until(lambda count=count: server.log_since(mark).count("No worker can be started") >= count, "a try")
        assert "Resource temporarily unavailable" in server.log_since(mark)
        until(lambda: len(answering(server)) == 1, "all workers answer")
        spent_s = cpu_s(server.pid)
        limit_processes(command, server.pid, 64)
        wait_for_replacement(server, mark)
        assert cpu_s(server.pid) - spent_s < 0.5
        until(lambda: len(answering(server)) == 2, "two workers again")
        assert len(descriptors(server.pid)) == len(before)
        assert server.stop() == 0


@pytest.mark.threat("G-096", sent="no descriptor left in a worker", verdict="serves again as soon as there is one")
def test_a_full_file_table_is_sat_out(faulty: Faulty) -> None:
    with supervised(faulty.place, workers=2) as server:
        workers = sorted(children_of(server.pid))
        for pid in workers:
            _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")) + 20, hard))
        with asking(server.address, *["/later/3"] * 200) as asked:
            server.wait_for_log("cannot accept: ")
            before = sum(map(cpu_s, [server.pid, *workers]))
            began = time.monotonic()
            time.sleep(1.5)
            spent_s = sum(map(cpu_s, [server.pid, *workers])) - before
            assert spent_s < 0.5 * (time.monotonic() - began), f"{spent_s} s of processor time"
            for pid in workers:
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
            assert all(b" 200 " in one.answer() for one in asked)
        until(lambda: children_of(server.pid) == set(workers) == answering(server), "all workers answer")
        assert server.log.count("cannot accept: ") <= 4


@pytest.mark.threat(
    "G-096", sent="no descriptor left in the supervisor", verdict="replaces workers again as soon as there is one"
)
def test_a_full_file_table_of_the_supervisor_is_sat_out(faulty: Faulty) -> None:
    with supervised(faulty.place, workers=2) as server:
        _, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (3, hard))
        mark = server.mark()
        os.kill(ready_workers(server)[0], signal.SIGKILL)
        server.wait_for_log("No worker can be started", since=mark)
        until(lambda: len(answering(server)) == 1, "all workers answer")
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (hard, hard))
        wait_for_replacement(server, mark)
        until(lambda: len(answering(server)) == 2, "two workers again")


@pytest.mark.threat("G-097", sent="a pipe to the log that nobody reads", verdict="requests are answered all the while")
def test_a_log_that_nobody_reads_stops_nobody(faulty: Faulty) -> None:
    reader, writer = os.pipe()
    port = free_port()
    command = command_for("site_one:app", "--workers", "2", "--bind", f"127.0.0.1:{port}", "--log-level", "debug")
    with subprocess.Popen(command, cwd=faulty.place, env=child_environment(), stderr=writer, stdout=writer) as process:
        os.close(writer)
        server = Unread(process.pid, f"http://127.0.0.1:{port}")
        try:
            until(lambda: is_open(port) and len(answering(server)) == 2, "two workers answer")
            # Until no page of the pipe is free: the whole access log would be in it.
            for _ in range(400):
                Asked(("127.0.0.1", port), "/pid").answer()
            victim = min(children_of(process.pid))
            os.kill(victim, signal.SIGKILL)
            until(lambda: victim not in children_of(process.pid) and len(answering(server)) == 2, "another worker")
            # What is told of the lost lines may come as soon as there is room: before all that waited is read.
            told = bytearray()
            os.set_blocking(reader, False)
            with contextlib.suppress(BlockingIOError):
                while part := os.read(reader, 65536):
                    told += part
            os.set_blocking(reader, True)
            process.terminate()
            with os.fdopen(reader, "rb") as log:
                told += log.read()
            text = told.decode(errors="replace")
            assert process.wait(20) == 0
        finally:
            process.kill()
    assert "lines of this log are lost" in text and "Stopped" in text


@dataclass
class Unread:
    """What ``answering`` needs of a server."""

    pid: int
    origin: str


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def is_open(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.threat(
    "G-093", sent="code that crashes at its start, again and again", verdict="growing pauses, a short log"
)
def test_code_that_crashes_at_boot_costs_neither_the_machine_nor_the_log(faulty: Faulty) -> None:
    with supervised(faulty.place, workers=3) as server:
        first, second, last = ready_workers(server)
        faulty.break_()
        mark, began = server.mark(), time.monotonic()
        os.kill(first, signal.SIGKILL)
        os.kill(second, signal.SIGKILL)
        with loading(server.address, kept=2, fresh=4, pause_s=0.01) as load:
            faulty.done("broken", 6)
            took_s = time.monotonic() - began
            load.wait_for_answers(50)
        assert not load.tally.failures, load.tally.describe()
        # 0.1 + 0.2 + ... doubles up to 30 s: six of them take 3.1 s, 20 would take minutes.
        assert took_s > 2.0 and len(faulty.pids("broken")) <= 8
        assert set(load.tally.by_worker) == {last}
        assert len(server.log_since(mark)) < 8192 and "Traceback" not in server.log
        assert "exited with code 6" in server.log_since(mark)
        faulty.mend()
        until(lambda: len(answering(server, tries=30)) == 3, "three workers again", 30)
