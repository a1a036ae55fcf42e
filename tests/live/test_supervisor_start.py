"""Starting and stopping supervised workers with the real command: who serves, what they hold, how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.server import child_environment, command_for, running
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


def test_four_workers_answer_and_all_end(place: Path) -> None:
    with supervised(place, workers=4) as server:
        workers = set(ready_workers(server))
        assert len(workers) == 4
        assert children_of(server.pid) == workers
        until(lambda: answering(server, tries=80) == workers, "all workers answer")
    assert not any(map(is_there, workers))
    assert "Traceback" not in server.log and "ERROR" not in server.log
    assert server.log.count("Listening on") == 1


def test_one_worker_is_supervised_too(place: Path) -> None:
    with supervised(place, workers=1) as server:
        assert answering(server, tries=3) == set(ready_workers(server)) != {server.pid}


def test_without_workers_there_is_no_supervisor(place: Path) -> None:
    with running("site_one:app", cwd=place) as server:
        assert answering(server, tries=1) == {server.pid}


def test_web_concurrency_asks_for_workers(place: Path) -> None:
    with running("site_one:app", cwd=place, environment={"WEB_CONCURRENCY": "2"}) as server:
        server.wait_for_log("All workers (2)")


@pytest.mark.threat("G-108", sent="descriptors of a worker", verdict="its own and no others")
def test_a_worker_holds_its_own_descriptors_and_no_others(place: Path) -> None:
    with supervised(place, "--bind", "127.0.0.1:0", "--bind", f"unix:{place}/socket", workers=3) as server:

        def files() -> list[str]:
            return [name for fd, name in httpx.get(f"{server.origin}/files").json().items() if int(fd) > 2]

        # Three sockets are its listeners (one of TCP, one unix) and its channel; then the connection, what the loop and
        # the poller need (uvloop: two pollers more than asyncio), and the directory it is just reading. Who was ready
        # first has adopted what the others will hold, until they are.
        until(lambda: sum(name.startswith("socket:") for name in files()) <= 6, "only its own sockets are left")
        assert not [name for name in files() if "signalfd" in name]


@pytest.mark.threat("G-108", sent="channels of other workers", verdict="closed")
def test_nothing_is_kept_of_another_workers_channel(place: Path) -> None:
    """The last worker was forked when the channels of all others were open: it holds no more than the first."""
    with supervised(place, workers=4) as server:

        def counts() -> set[int]:
            return {len(os.listdir(f"/proc/{pid}/fd")) for pid in children_of(server.pid)}

        until(lambda: len(counts()) == 1, "all have released what they adopted while others were starting")


def test_what_was_open_before_stays_open_for_the_application(place: Path) -> None:
    reader, writer = os.pipe()
    command = command_for("site_one:app", "--workers", "1")
    write_site(place, ("startup():\n    pass", f"startup():\n    os.write({writer}, str(os.getpid()).encode())"))
    process = subprocess.Popen(
        command,
        cwd=place,
        env=child_environment(),
        pass_fds=[writer],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        os.close(writer)
        assert int(os.read(reader, 20)) in children_of(process.pid)
    finally:
        process.terminate()
        assert process.wait(30) == 0
        os.close(reader)


def test_standard_output_belongs_to_the_application(place: Path) -> None:
    write_site(place, ("startup():\n    pass", 'startup():\n    sys.stdout.write(f"printed by {os.getpid()}\\n")'))
    with supervised(place, workers=2) as server:
        workers = set(ready_workers(server))
    assert {int(line.split()[-1]) for line in server.log.splitlines() if line.startswith("printed by")} == workers


def test_exit_handlers_of_the_application_run(place: Path) -> None:
    changed = 'startup():\n    import atexit\n    atexit.register(print, "bye from", os.getpid())'
    write_site(place, ("startup():\n    pass", changed))
    with supervised(place, workers=2) as server:
        pass
    assert server.log.count("bye from") == 2


@pytest.mark.threat("G-093", sent="an application that cannot start", verdict="exit code 3, said once")
@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (("import asyncio", "import asyncio_nowhere, asyncio"), 3, "asyncio_nowhere"),
        (("async def app", "async def app("), 3, "SyntaxError"),
        (("startup():\n    pass", 'startup():\n    raise RuntimeError("no database")'), 3, "no database"),
        (("import asyncio", "raise SystemExit(9)\nimport asyncio"), 3, "SystemExit"),
    ],
    ids=["import", "syntax", "lifespan", "exit"],
)
def test_a_broken_application_is_said_once(place: Path, change: tuple[str, str], code: int, said: str) -> None:
    write_site(place, change)
    with beginning(place, "--workers", "4", "--lifespan", "on") as server:
        assert ended(server) == code
    assert said in server.log
    assert server.log.count("Traceback (most recent call last)") <= 1
    assert server.log.count("\nError: ") + server.log.startswith("Error: ") <= 2, server.log
    assert children_of(server.pid) == set()


@pytest.mark.threat("G-093", sent="workers that crash at their first start", verdict="the server ends")
def test_workers_that_crash_at_the_start_end_the_server(place: Path) -> None:
    write_site(place, ("time.sleep(BOOT_S)", "os.kill(os.getpid(), 11)"))
    with beginning(place, "--workers", "2") as server:
        assert ended(server) == 3
    assert "SIGSEGV" in server.log
    assert server.log.splitlines()[-1].startswith("Error: ")


def test_an_address_in_use(place: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with beginning(place, "--workers", "2", "--bind", f"127.0.0.1:{other.getsockname()[1]}") as server:
            assert ended(server) == 4
    assert server.log.count("in use") == 1 and "Traceback" not in server.log


def test_a_second_server_on_the_same_address_is_refused(place: Path) -> None:
    with supervised(place, workers=2) as first:
        with beginning(place, "--workers", "2", "--bind", f"127.0.0.1:{first.port}") as second:
            assert ended(second) == 4
        assert len(answering(first)) == 2


def test_a_unix_socket(place: Path) -> None:
    path = place / "socket"
    with supervised(place, "--bind", "127.0.0.1:0", "--bind", f"unix:{path}", workers=3) as server:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://x") as client:
            assert int(client.get("/pid").text) in ready_workers(server)
        victim = ready_workers(server)[0]
        mark = server.mark()
        os.kill(victim, signal.SIGKILL)
        wait_for_replacement(server, mark)
        assert path.exists(), "a worker that dies takes the socket's file with it"
        send(server, signal.SIGHUP)
        server.wait_for_log("Reloaded")
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://x") as client:
            assert client.get("/pid").status_code == 200
    assert not path.exists()


def test_an_inherited_socket(place: Path) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        process = subprocess.Popen(
            [*command_for("site_one:app", "--workers", "2", "--bind", f"fd:{sock.fileno()}")],
            cwd=place,
            env=child_environment(),
            pass_fds=[sock.fileno()],
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stderr is not None
        origin = f"http://127.0.0.1:{sock.getsockname()[1]}"
        try:
            assert httpx.get(f"{origin}/pid", timeout=20).status_code == 200
        finally:
            process.terminate()
            log = process.stderr.read()
            process.stderr.close()
        assert process.wait(30) == 0, log
        assert f"Listening on {origin}" in log


def test_stopping_while_the_workers_start(place: Path) -> None:
    # Not while they import: an exception may get lost there, and they end later.
    write_site(place, ("time.sleep(BOOT_S)", 'os.write(1, b"boots\\n"); [time.sleep(0.1) for _ in range(600)]'))
    with beginning(place, "--workers", "2", "--log-level", "debug") as server:
        until(lambda: server.log.count("boots") == 2, "both load")
        send(server, signal.SIGTERM)
        assert ended(server, 20) == 0
    assert "Traceback" not in server.log


@pytest.mark.threat("G-095", sent="the supervisor killed while requests run", verdict="finished, then all end")
def test_workers_of_a_supervisor_that_was_killed_finish_and_end(place: Path) -> None:
    with supervised(place, workers=3, expect_exit=None) as server:
        workers = ready_workers(server)
        with httpx.Client(base_url=server.origin) as client:
            with client.stream("GET", "/slow0.5") as response:
                pass
            with socket.create_connection(server.address) as sock:
                sock.sendall(b"GET /slow1 HTTP/1.1\r\nHost: x\r\n\r\n")
                until(lambda: sum(map(_connections_of, workers)) >= 1, "the request has arrived")
                os.kill(server.pid, signal.SIGKILL)
                sock.settimeout(20)
                answer = sock.recv(4096)
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        until(lambda: not any(map(is_there, workers)), "the workers have ended")
    assert "The supervisor is gone" in server.log
    assert response.status_code == 200
    with supervised(place, "--bind", f"127.0.0.1:{server.port}", workers=2) as again:
        assert len(answering(again)) == 2


def _connections_of(pid: int) -> int:
    """Established connections of this network that a process holds: enough for a rough count."""
    try:
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    except OSError:
        return 0
    return sum(1 for link in links if link.startswith("socket:")) - 3


@pytest.mark.threat("G-095", sent="the supervisor killed while a worker hangs", verdict="it ends")
def test_a_worker_that_hangs_ends_after_its_supervisor(place: Path) -> None:
    write_site(place, ('if path == "/die":\n        os._exit(7)', 'if path == "/die":\n        time.sleep(600)'))
    times = ("--timeout-graceful", "0.5", "--timeout-cancel", "0.5", "--timeout-shutdown", "0.5")
    with supervised(place, *times, workers=1, expect_exit=None) as server:
        (worker,) = ready_workers(server)
        with socket.create_connection(server.address) as sock:
            sock.sendall(b"GET /die HTTP/1.1\r\nHost: x\r\n\r\n")
            until(lambda: "nanosleep" in _waits_in(worker), "it sleeps")
            os.kill(server.pid, signal.SIGKILL)
            until(lambda: not is_there(worker), "the worker has ended", 40)
        until(lambda: "in answer" in server.log, "its stack is shown")


def _waits_in(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/wchan").read_text()
    except OSError:
        return ""


def test_a_pid_file_names_the_supervisor_and_outlives_workers(place: Path) -> None:
    path = place / "server.pid"
    with supervised(place, "--pid", str(path), workers=2) as server:
        assert int(path.read_text()) == server.pid
        mark = server.mark()
        send(server, signal.SIGHUP)
        server.wait_for_log("Reloaded", since=mark)
        assert int(path.read_text()) == server.pid
    assert not path.exists()
