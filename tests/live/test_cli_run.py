"""``torana run`` as a user meets it: the real command, real signals, exit codes and messages."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.support.server import Server, child_environment, command_for, running

ASGI = """
import asyncio
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("http only")
    if scope["path"] == "/slow":
        await asyncio.sleep(1)
    if scope["path"] == "/forever":
        await asyncio.Event().wait()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"asgi"})
"""
WSGI = """
import os
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [os.environ.get("GREETING", "wsgi").encode()]
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with an application of each kind."""
    (tmp_path / "asgi_site.py").write_text(ASGI)
    (tmp_path / "wsgi_site.py").write_text(WSGI)
    return tmp_path


def ended(place: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return subprocess.run(
        [*command_for("x")[:-4], *arguments],
        cwd=place,
        env=child_environment(environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("target", "text"), [("asgi_site:app", "asgi"), ("wsgi_site", "wsgi"), ("asgi_site.py", "asgi")]
)
def test_it_serves_and_stops_as_asked(place: Path, target: str, text: str) -> None:
    with running(target, cwd=place) as server:
        assert httpx.get(server.origin).text == text
    assert "Listening on http://127.0.0.1:" in server.log
    assert "Traceback" not in server.log


def test_the_short_form_and_a_search_of_the_directory(place: Path) -> None:
    (place / "main.py").write_text(ASGI)
    server = Server([*command_for("x")[:-4], "--port", "0"], place, child_environment())
    try:
        server.wait_until_ready()
        assert httpx.get(server.origin).text == "asgi"
        assert server.stop() == 0
    finally:
        server.kill()


def test_settings_come_from_file_environment_and_flags(place: Path) -> None:
    (place / "torana.toml").write_text("app = 'wsgi_site:app'\nheader = ['X-From: file']\nenv_file = 'site.env'\n")
    (place / "site.env").write_text("GREETING=from the env file\n")
    environment = child_environment({"TORANA_SERVER_HEADER": "off"})
    server = Server([*command_for("x")[:-4], "--port", "0", "--no-date-header"], place, environment)
    try:
        server.wait_until_ready()
        answer = httpx.get(server.origin)
        assert answer.text == "from the env file"
        assert answer.headers["x-from"] == "file"
        assert "server" not in answer.headers and "date" not in answer.headers
        assert server.stop() == 0
    finally:
        server.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_graceful_stop_lets_a_request_finish(place: Path, number: signal.Signals) -> None:
    with running("asgi_site:app", cwd=place) as server, socket.create_connection(server.address) as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        with httpx.Client() as other:
            assert other.get(server.origin).text == "asgi"
        server.process.send_signal(number)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
        assert answer.endswith(b"asgi") or b"\r\n4\r\nasgi\r\n" in answer
        assert server.process.wait(20) == 0


def test_a_second_interrupt_stops_at_once(place: Path) -> None:
    with running("asgi_site:app", cwd=place) as server, socket.create_connection(server.address) as client:
        client.sendall(b"GET /forever HTTP/1.1\r\nHost: x\r\n\r\n")
        with httpx.Client() as other:
            other.get(server.origin)
        server.process.send_signal(signal.SIGINT)
        server.wait_for_log("SIGINT")
        assert server.process.poll() is None
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(20) == 0


def test_quit_stops_at_once(place: Path) -> None:
    with running("asgi_site:app", cwd=place) as server, socket.create_connection(server.address) as client:
        client.sendall(b"GET /forever HTTP/1.1\r\nHost: x\r\n\r\n")
        with httpx.Client() as other:
            other.get(server.origin)
        server.process.send_signal(signal.SIGQUIT)
        assert server.process.wait(20) == 0


@pytest.mark.parametrize("name", ["SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGTTIN", "SIGTTOU"])
def test_other_signals_do_no_harm(place: Path, name: str) -> None:
    with running("asgi_site:app", cwd=place) as server:
        server.process.send_signal(getattr(signal, name))
        assert httpx.get(server.origin).text == "asgi"


def test_stopping_while_the_application_loads_is_as_asked(place: Path) -> None:
    # Nothing is imported after the line: in a weak reference's callback, as imports have them, the stop's exception
    # gets nowhere, and it is obeyed only after the import (the test below). In short sleeps: Python does not see a
    # signal that comes between its last look and the system call before that call is over.
    (place / "slow_site.py").write_text(
        "import time\nprint('loading', flush=True)\nfor _ in range(600):\n    time.sleep(0.1)\n"
    )
    server = Server(command_for("slow_site:app"), place, child_environment())
    try:
        server.wait_for_log("loading")
        assert server.stop() == 0
        assert "Traceback" not in server.log
    finally:
        server.kill()


def test_a_stop_whose_exception_gets_nowhere_is_obeyed_after_the_import(place: Path) -> None:
    (place / "slow_site.py").write_text(
        "import os, signal\nclass Swallows:\n    def __del__(self):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n        os.getpid()\nSwallows()\n"
        "async def app(scope, receive, send):\n    print('called', flush=True)\n"
    )
    server = Server(command_for("slow_site:app"), place, child_environment())
    try:
        assert server.process.wait(20) == 0
        server.wait_for_end()
        assert "Stopped before the application was started" in server.log and "called" not in server.log
        assert "Traceback" not in server.log
    finally:
        server.kill()


def test_stopping_while_the_application_starts_up_is_as_asked(place: Path) -> None:
    (place / "slow_site.py").write_text(
        "import asyncio\nasync def app(scope, receive, send):\n    print('starting', flush=True)\n"
        "    await asyncio.sleep(60)\n"
    )
    server = Server(command_for("slow_site:app"), place, child_environment())
    try:
        server.wait_for_log("starting")
        assert server.stop() == 0
        assert "Traceback" not in server.log
    finally:
        server.kill()


def test_exit_code_2_for_a_bad_setting(place: Path) -> None:
    result = ended(place, "asgi_site:app", "--port", "http")
    assert result.returncode == 2
    assert "port (--port): found 'http'" in result.stderr


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("import not_there_at_all\n", "needs the module 'not_there_at_all' (bad_site.py, line 1)"),
        ("def app(:\n", "syntax error (bad_site.py, line 1)"),
        ("1 / 0\n", "failed while it was imported (bad_site.py, line 1): ZeroDivisionError"),
    ],
)
def test_exit_code_3_for_an_application_that_cannot_be_loaded(place: Path, source: str, sentence: str) -> None:
    (place / "bad_site.py").write_text(source)
    result = ended(place, "bad_site:app", "--port", "0")
    assert result.returncode == 3
    assert sentence in result.stderr.splitlines()[0]
    assert result.stderr.count("Traceback") <= 1
    assert "torana/" not in result.stderr


def test_exit_code_3_for_an_application_that_refuses_to_start(place: Path) -> None:
    (place / "bad_site.py").write_text(
        "async def app(scope, receive, send):\n    await receive()\n"
        "    await send({'type': 'lifespan.startup.failed', 'message': 'no database'})\n"
    )
    result = ended(place, "bad_site:app", "--port", "0")
    assert result.returncode == 3
    assert "no database" in result.stderr


def test_exit_code_4_for_an_address_in_use(place: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = ended(place, "asgi_site:app", "--port", str(taken.getsockname()[1]))
    assert result.returncode == 4
    assert "in use" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_unix_socket_a_descriptor_and_several_at_once(place: Path) -> None:
    path = place / "web.sock"
    with running("asgi_site:app", "--bind", f"unix:{path}", "--bind", "127.0.0.1:0", cwd=place) as server:
        transport = httpx.HTTPTransport(uds=str(path))
        with httpx.Client(transport=transport) as client:
            assert client.get("http://x/").text == "asgi"
        assert httpx.get(server.origin).text == "asgi"
    assert not path.exists()


def test_the_pid_file_is_there_while_it_runs(place: Path) -> None:
    with running("asgi_site:app", "--pid", "run.pid", cwd=place) as server:
        assert int((place / "run.pid").read_text()) == server.pid
    assert not (place / "run.pid").exists()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_both_loops(place: Path, loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    with running("asgi_site:app", "--loop", loop, cwd=place) as server:
        assert httpx.get(server.origin).text == "asgi"
        server.wait_for_log(f", {loop}, pid")


def test_check_loads_and_serves_nothing(place: Path) -> None:
    result = ended(place, "check", "wsgi_site:app", "--port", "1")
    assert result.returncode == 0
    assert "wsgi_site:app" in result.stdout and "http://127.0.0.1:1" in result.stdout


def test_a_socket_handed_over_as_a_descriptor(place: Path) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        os.set_inheritable(listening.fileno(), True)
        command = [*command_for("x")[:-4], "asgi_site:app", "--bind", f"fd:{listening.fileno()}"]
        process = subprocess.Popen(command, cwd=place, env=child_environment(), close_fds=False)
        try:
            assert httpx.get(f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=20).text == "asgi"
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()


def test_a_socket_that_systemd_passes(place: Path) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        # As systemd does it: the socket is descriptor 3, and the variables name the very process that serves.
        script = 'export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web; exec "$@"'
        command = ["sh", "-c", script, "sh", *command_for("x")[:-4], "asgi_site:app", "--bind", "systemd:web"]
        process = subprocess.Popen(
            command,
            cwd=place,
            env=child_environment(),
            close_fds=False,
            preexec_fn=lambda: os.dup2(listening.fileno(), 3, inheritable=True),
        )
        try:
            assert httpx.get(f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=20).text == "asgi"
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()
