"""The end of a server, asked for under load and amid everything else: told, bounded, and complete."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.faulty import Asked, Faulty, asking
from tests.support.load import loading
from tests.support.server import Server
from tests.support.supervised import children_of, ended, is_there, send, supervised, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def faulty(tmp_path: Path) -> Faulty:
    return Faulty(tmp_path)


def get(server: Server, path: str) -> bytes:
    return Asked(server.address, path).answer()


@pytest.mark.threat("G-102", sent="TERM with fifty endless streams", verdict="told, ended in time, named in the log")
def test_fifty_streams_are_told_ended_and_named(faulty: Faulty) -> None:
    flags = ("--timeout-graceful", "3", "--timeout-cancel", "2")
    with supervised(faulty.place, *flags, workers=2) as server:
        workers = children_of(server.pid)
        with asking(server.address, *["/stream?secret=1"] * 50, "/later/0.8") as asked:
            faulty.done("stream", 50)
            faulty.done("later")
            mark = send(server, signal.SIGTERM)
            *streams, answer = (one.answer() for one in asked)
        assert ended(server) == 0
    assert answer.endswith(b" text") and b" 200 " in answer
    # Cut, and not ended as if that were all.
    assert all(b" 200 " in stream and b"data: " in stream and not stream.endswith(b"0\r\n\r\n") for stream in streams)
    assert len(faulty.pids("told")) == 50 and set(faulty.pids("told")) <= workers
    log = server.log_since(mark)
    named = [line for line in log.splitlines() if "the graceful stop is over and these are told to end" in line]
    assert sum(int(line.partition("told to end: ")[2].split()[0]) for line in named) == 50
    assert all("GET /stream" in line and "secret" not in line for line in named)
    assert "Traceback" not in log and "ERROR" not in log
    assert not any(map(is_there, workers))


def test_a_drain_delay_keeps_the_door_open_and_says_that_it_will_close(faulty: Faulty) -> None:
    flags = ("--drain-delay", "2", "--health-path", "/up")
    with supervised(faulty.place, *flags, workers=2) as server:
        assert b" 200 " in get(server, "/up")
        kept = socket.create_connection(server.address, timeout=10)
        kept.sendall(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"connection: close" not in kept.recv(65536).lower()
        began = time.monotonic()
        mark = send(server, signal.SIGTERM)
        until(lambda: server.log_since(mark).count("Connections are still accepted") == 2, "both workers drain")
        assert b" 503 " in get(server, "/up")
        with socket.create_connection(server.address, timeout=10) as fresh:
            fresh.sendall(b"GET /2 HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = fresh.recv(65536).lower()
            assert b" 200 " in answer and b"connection: close" in answer
        kept.sendall(b"GET /3 HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = kept.recv(65536).lower()
        assert b" 200 " in answer and b"connection: close" in answer
        kept.close()
        answered = 0
        with contextlib.suppress(ConnectionError):
            # Nothing: it came between the last look into the queue and its end, which no server can prevent.
            while answer := get(server, "/4"):
                assert b" 200 " in answer
                answered += 1
                time.sleep(0.05)
        assert answered > 5 and time.monotonic() - began >= 2
        assert ended(server) == 0


@contextlib.contextmanager
def signalling(server: Server, names: list[str], count: int, seconds: float) -> Iterator[None]:
    """Send so many signals in so much time, while the block runs."""

    def send_all() -> None:
        for number in range(count):
            os.kill(server.pid, getattr(signal, names[number % len(names)]))
            time.sleep(seconds / count)

    thread = threading.Thread(target=send_all)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def pending(pid: int) -> int:
    """Signals that were sent to a process and not taken, as bits."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(int(line.split()[1], 16) for line in lines if line.startswith(("SigPnd:", "ShdPnd:")))


def wanted_in(log: str) -> int:
    _, found, rest = log.rpartition("Workers: ")
    return int(rest.split()[0]) if found else 2


@pytest.mark.threat("G-102", sent="a thousand signals of all kinds", verdict="requests are answered")
def test_a_thousand_signals_of_all_kinds(faulty: Faulty) -> None:
    names = ["SIGHUP", "SIGUSR1", "SIGTTIN", "SIGWINCH", "SIGCHLD", "SIGTTOU", "SIGURG", "SIGPIPE"]
    with supervised(faulty.place, workers=2) as server:
        descriptors = len(os.listdir(f"/proc/{server.pid}/fd"))
        with loading(server.address, kept=4, fresh=4, pause_s=0.002) as load:
            load.wait_for_answers(50)
            mark = server.mark()
            with signalling(server, names, 1000, 1.0):
                pass
            # What is pending has no order: the last word would be one among them.
            until(lambda: not pending(server.pid), "all signals are taken")
            send(server, signal.SIGHUP)
            load.wait_for_answers(200)
            server.wait_for_log("Reloaded", since=mark)
        assert not load.tally.failures, load.tally.describe()
        # Read, but not obeyed yet: the last word may still come.
        until(lambda: len(children_of(server.pid)) == wanted_in(server.log), "as many workers as are wanted", 40)
        slots = max(map(int, (word.split()[0] for word in server.log.split("Workers: ")[1:])), default=2)
        assert len(os.listdir(f"/proc/{server.pid}/fd")) <= descriptors + 2 * slots
        assert len(server.log_since(mark)) < 1_000_000
    assert "Traceback" not in server.log


@pytest.mark.threat("G-102", sent="TERM at the start, during a reload, amid crashes", verdict="the end in order")
@pytest.mark.parametrize("when", ["booting", "reloading", "crashing"])
def test_a_stop_comes_at_any_time(faulty: Faulty, when: str) -> None:
    with supervised(faulty.place, workers=2) as server:
        if when == "booting":
            # Not while it imports: an exception may get lost there, and the worker ends later.
            (faulty.place / "site_one.py").write_text(
                'import os, time\nos.write(1, b"boots\\n")\n[time.sleep(0.1) for _ in range(600)]\n'
            )
            mark = send(server, signal.SIGTTIN)
            server.wait_for_log("boots", since=mark)
        elif when == "reloading":
            (faulty.place / "site_one.py").write_text('import os\nos.write(1, b"boots\\n")\nwhile True: pass\n')
            mark = send(server, signal.SIGHUP)
            server.wait_for_log("boots", since=mark)
        else:
            faulty.break_()
            os.kill(min(children_of(server.pid)), signal.SIGKILL)
            faulty.done("broken", 3)
        with asking(server.address, "/later/0.5") as (asked,):
            faulty.done("later")
            everybody = children_of(server.pid)
            send(server, signal.SIGTERM)
            assert b" 200 " in asked.answer()
        assert ended(server, 20) == 0
    assert not any(map(is_there, everybody))
