"""Every signal of the contract, sent to a real supervisor and to its workers."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.support.descriptors import descriptors
from tests.support.load import loading
from tests.support.supervised import (
    answering,
    beginning,
    children_of,
    ended,
    is_there,
    ready_workers,
    send,
    supervised,
    until,
    wait_for_replacement,
    write_site,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write_site(tmp_path)
    return tmp_path


class Asked:
    """A connection with a request under way."""

    def __init__(self, address: tuple[str, int], path: str) -> None:
        self._sock = socket.create_connection(address, timeout=30)
        self._sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    def answer(self) -> bytes:
        """All that comes until the server closes."""
        received = bytearray()
        with self._sock:
            while part := self._sock.recv(65536):
                received += part
        return bytes(received)


def arrived(place: Path, count: int) -> None:
    """Wait until the application has got so many requests."""
    log = place / "executed"
    until(lambda: log.exists() and log.read_text().count("\n") >= count, "the requests have arrived")


@pytest.mark.threat("G-089", sent="a worker killed by KILL", verdict="replaced, and the log names the signal")
def test_a_killed_worker_is_replaced(place: Path) -> None:
    with supervised(place, workers=3) as server:
        victim, *others = ready_workers(server)
        mark = server.mark()
        os.kill(victim, signal.SIGKILL)
        wait_for_replacement(server, mark)
        assert "SIGKILL" in server.log_since(mark)
        until(lambda: len(children_of(server.pid)) == 3, "three workers")
        assert victim not in children_of(server.pid) and set(others) < children_of(server.pid)
        until(lambda: answering(server) == children_of(server.pid), "all workers answer")


@pytest.mark.threat(
    "G-089", sent="a worker killed while connections wait in its queue", verdict="all of them are answered"
)
def test_what_waited_in_the_queue_of_a_killed_worker_is_answered(place: Path) -> None:
    with supervised(place, workers=2) as server:
        victim = ready_workers(server)[0]
        os.kill(victim, signal.SIGSTOP)  # connections pile up in its queue
        waiting = [Asked(server.address, "/pid") for _ in range(40)]
        os.kill(victim, signal.SIGKILL)
        answers = [_closing(asked) for asked in waiting]
    assert all(answer.startswith(b"HTTP/1.1 200 ") for answer in answers)


def _closing(asked: Asked) -> bytes:
    asked._sock.shutdown(socket.SHUT_WR)
    return asked.answer()


@pytest.mark.parametrize("path", ["/die", "/exit"])
def test_a_worker_that_ends_by_itself_is_replaced_and_named(place: Path, path: str) -> None:
    with supervised(place, workers=2) as server:
        mark = server.mark()
        with pytest.raises(httpx.HTTPError):
            httpx.get(server.origin + path)
        line = server.wait_for_log("died", since=mark)
        assert f"code {7 if path == '/die' else 0}" in line and f"GET {path}" in line
        wait_for_replacement(server, mark)
        until(lambda: len(answering(server)) == 2, "all workers answer")


@pytest.mark.threat("G-103", sent="TERM to one worker", verdict="the replacement serves first")
def test_a_worker_that_is_told_to_end_is_replaced_first(place: Path) -> None:
    with supervised(place, workers=2) as server:
        victim = ready_workers(server)[0]
        with loading(server.address, kept=4, fresh=4, pause_s=0.002) as load:
            load.wait_for_answers(50)
            mark = server.mark()
            os.kill(victim, signal.SIGTERM)
            wait_for_replacement(server, mark)
            load.wait_for_answers(100)
            until(lambda: not is_there(victim), "the old worker has ended")
        assert not load.tally.failures, load.tally.describe()


def test_a_worker_ignores_what_is_meant_for_its_supervisor(place: Path) -> None:
    with supervised(place, workers=2) as server:
        workers = children_of(server.pid)
        for name in ("SIGINT", "SIGHUP", "SIGTTIN", "SIGTTOU", "SIGWINCH", "SIGUSR1", "SIGUSR2"):
            for pid in workers:
                os.kill(pid, getattr(signal, name))
        until(lambda: answering(server) == workers == children_of(server.pid), "all workers answer")


def test_one_more_and_one_fewer(place: Path) -> None:
    with supervised(place, workers=2) as server:
        with loading(server.address, kept=6, fresh=6, pause_s=0.002) as load:
            load.wait_for_answers(50)
            send(server, signal.SIGTTIN)
            until(lambda: len(children_of(server.pid)) == 3, "three workers")
            until(lambda: len(answering(server, tries=30)) == 3, "the third one answers")
            for wanted in (2, 1):
                send(server, signal.SIGTTOU)
                until(lambda wanted=wanted: len(children_of(server.pid)) == wanted, f"{wanted} workers")  # type: ignore[misc]
            mark = send(server, signal.SIGTTOU)
            server.wait_for_log("One worker stays", since=mark)
            load.wait_for_answers(200)
            until(lambda: len(answering(server)) == 1, "all workers answer")
            send(server, signal.SIGTTIN)
            until(lambda: len(answering(server, tries=30)) == 2, "the second one answers again")
        assert not load.tally.failures, load.tally.describe()


def test_a_pause_keeps_the_listeners_and_a_reload_ends_it(place: Path) -> None:
    with supervised(place, workers=2) as server:
        with loading(server.address, kept=4, fresh=4, pause_s=0.002) as load:
            load.wait_for_answers(50)
            send(server, signal.SIGWINCH)
            until(lambda: not children_of(server.pid), "all workers have retired")
            send(server, signal.SIGHUP)
            load.wait_for_answers(100)
        assert not load.tally.failures, load.tally.describe()
        assert load.tally.slowest_s > 0.01
        until(lambda: len(children_of(server.pid)) == 2, "two workers")


@pytest.mark.threat("G-102", sent="TERM while a request runs", verdict="the request is finished")
def test_term_lets_a_running_request_finish(place: Path) -> None:
    with supervised(place, workers=2, environment={"EXECUTED": str(place / "executed")}) as server:
        # Long: all of them still run when the signal comes.
        asked = [Asked(server.address, "/slow3") for _ in range(6)]
        arrived(place, 6)
        send(server, signal.SIGTERM)
        answers = [one.answer() for one in asked]
        assert all(answer.startswith(b"HTTP/1.1 200 ") and b"connection: close" in answer.lower() for answer in answers)
        assert ended(server) == 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(server.address)


@pytest.mark.threat("G-102", sent="TERM with connections in the queue", verdict="those who had connected are answered")
def test_who_connected_before_a_stop_is_answered(place: Path) -> None:
    with supervised(place, workers=2, environment={"DELAY_S": "0.01"}) as server:
        asked = [Asked(server.address, "/1") for _ in range(100)]
        send(server, signal.SIGTERM)
        assert [one.answer()[:12] for one in asked] == [b"HTTP/1.1 200"] * 100


def test_a_drain_delay_accepts_for_a_while(place: Path) -> None:
    with supervised(place, "--drain-delay", "1.5", "--health-path", "/up", workers=2) as server:
        assert httpx.get(f"{server.origin}/up").status_code == 200
        mark = send(server, signal.SIGTERM)
        until(lambda: server.log_since(mark).count("Connections are still accepted") == 2, "both workers drain")
        assert httpx.get(f"{server.origin}/up").status_code == 503
        assert httpx.get(f"{server.origin}/pid").headers["connection"] == "close"
        assert ended(server) == 0


@pytest.mark.threat("G-102", sent="a second signal to stop", verdict="the end at once")
@pytest.mark.parametrize(("first", "second"), [("SIGINT", "SIGINT"), ("SIGTERM", "SIGQUIT"), ("SIGQUIT", "")])
def test_stopping_at_once(place: Path, first: str, second: str) -> None:
    with supervised(place, workers=2, environment={"EXECUTED": str(place / "executed")}) as server:
        asked = [Asked(server.address, "/slow60") for _ in range(4)]
        arrived(place, 4)
        mark = send(server, getattr(signal, first))
        if second:
            server.wait_for_log("Stopping", since=mark)
            assert server.process.poll() is None
            send(server, getattr(signal, second))
        assert ended(server, 10) == 0
        assert all(b"slow" not in one.answer() for one in asked)
    assert "at once" in server.log


@pytest.mark.threat("G-102", sent="TERM during a reload", verdict="the end in order")
def test_a_stop_while_a_reload_is_under_way(place: Path) -> None:
    with supervised(place, workers=2) as server:
        # Not while it imports: an exception may get lost there, and the worker ends later.
        write_site(place, ("time.sleep(BOOT_S)", 'os.write(1, b"boots\\n"); [time.sleep(0.1) for _ in range(600)]'))
        mark = send(server, signal.SIGHUP)
        server.wait_for_log("boots", since=mark)
        send(server, signal.SIGTERM)
        assert ended(server, 20) == 0


@pytest.mark.threat("G-102", sent="TERM while workers crash at their start", verdict="the end in order")
def test_a_stop_amid_a_crash_loop(place: Path) -> None:
    with supervised(place, workers=1) as server:
        write_site(place, ("time.sleep(BOOT_S)", "os._exit(9)"))
        mark = server.mark()
        os.kill(ready_workers(server)[0], signal.SIGKILL)
        server.wait_for_log("code 9", since=mark)
        send(server, signal.SIGTERM)
        assert ended(server, 20) == 0


@pytest.mark.threat("G-097", sent="logs renamed, then USR1", verdict="both written anew, no line lost")
def test_logs_are_opened_anew(place: Path) -> None:
    log = place / "access.log"
    with supervised(place, "--access-log", "--access-log-file", str(log), workers=2) as server:
        httpx.get(f"{server.origin}/1")
        until(lambda: log.exists() and log.read_text(), "a line")
        log.rename(place / "access.log.1")
        send(server, signal.SIGUSR1)
        until(log.exists, "a new file")

        def both_write() -> bool:
            answering(server, tries=10)
            return log.read_text().count("\n") >= 10

        until(both_write, "both workers write to it")


@pytest.mark.threat("G-102", sent="thousands of mixed signals", verdict="nobody ends, requests are answered")
def test_thousands_of_signals(place: Path) -> None:
    with supervised(place, workers=2) as server:
        mark = server.mark()
        end = time.monotonic() + 2
        while time.monotonic() < end:
            for name in ("SIGHUP", "SIGTTIN", "SIGTTOU", "SIGUSR1", "SIGCHLD"):
                os.kill(server.pid, getattr(signal, name))
        server.wait_for_log("Reloaded", since=mark)
        assert answering(server)


@pytest.mark.threat(
    "G-090", sent="an application that closes the server's descriptors", verdict="that worker is replaced"
)
def test_a_worker_that_closes_what_is_not_its_own_is_replaced(place: Path) -> None:
    write_site(place, ('if path == "/die":\n        os._exit(7)', 'if path == "/die":\n        close_channel()'))
    with open(place / "site_one.py", "a") as file:
        file.write(
            # Made by another process: not the pair by which an event loop wakes itself.
            "import os, socket, struct\n"
            "def close_channel():\n"
            "    for fd in range(3, 100):\n"
            "        try:\n"
            "            sock = socket.socket(fileno=fd)\n"
            "        except OSError:\n"
            "            continue\n"
            "        if sock.family == socket.AF_UNIX:\n"
            "            credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)\n"
            "            if struct.unpack('3i', credentials)[0] != os.getpid():\n"
            "                return sock.close()\n"
            "        sock.detach()\n"
        )
    with supervised(place, workers=2) as server:
        mark = server.mark()
        assert httpx.get(f"{server.origin}/die").status_code == 200
        server.wait_for_log("it no longer speaks", since=mark)
        server.wait_for_log("retires", since=mark)
        until(lambda: len(children_of(server.pid)) == 2, "the old worker has ended")
        until(lambda: answering(server) == children_of(server.pid), "all workers answer")


@pytest.mark.threat("G-094", sent="fork fails for a while", verdict="the others serve on, the supervisor tries again")
def test_a_fork_that_fails_is_survived(place: Path) -> None:
    """No more processes for this user: root has no such limit, so the fork itself is made to fail."""
    (place / "sitecustomize.py").write_text(
        "import os\nfork, flag = os.fork, os.environ['NO_FORK']\n"
        "def failing():\n    if os.path.exists(flag):\n        raise BlockingIOError(11, 'No process left')\n"
        "    return fork()\nos.fork = failing\n"
    )
    flag = place / "no_fork"
    environment = {"NO_FORK": str(flag), "PYTHONPATH": os.pathsep.join([str(place), *map(str, _paths())])}
    with supervised(place, workers=2, environment=environment) as server:
        before = descriptors(server.pid)
        flag.touch()
        mark = server.mark()
        victim = ready_workers(server)[0]
        os.kill(victim, signal.SIGKILL)
        for count in (1, 2, 3):
            until(lambda count=count: server.log_since(mark).count("No worker can be started") >= count, "a try")  # type: ignore[misc]
        until(lambda: answering(server) == children_of(server.pid), "all workers answer")
        flag.unlink()
        wait_for_replacement(server, mark)
        until(lambda: len(answering(server)) == 2, "two workers again")
        assert len(descriptors(server.pid)) == len(before)


def _paths() -> list[Path]:
    import torana

    return [Path(torana.__file__).parents[1]]


@pytest.mark.threat("G-095", sent="orphans of the application end", verdict="reaped, and taken for nobody's worker")
def test_children_that_are_left_to_it_are_reaped_and_passed_over(place: Path) -> None:
    """As process 1 of a container would: a foreign child that ends with code 3 means nothing."""
    script = (
        "import os, sys\nif os.fork() == 0:\n    import time; time.sleep(5); os._exit(3)\nos.execv(sys.executable, "
    )
    with beginning(place, "--workers", "2", "--log-level", "debug") as plain:
        plain.wait_until_ready()
        words = [sys.executable, *plain.process.args[1:]]  # type: ignore[index]
        plain.stop()
    from tests.support.server import Server, child_environment

    server = Server([sys.executable, "-c", f"{script}{words!r})"], place, child_environment())
    try:
        server.wait_until_ready()
        server.wait_for_log("which is not ours, has ended")
        assert len(children_of(server.pid)) == 2
        assert server.stop() == 0
    finally:
        server.kill()
