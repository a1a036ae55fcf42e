"""``torana status``, ``reload``, ``scale``, ``stop`` and ``dump`` against servers that really run."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.server import Server, child_environment, command_for, running
from tests.support.supervised import until

GOOD = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("http only")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"WORD"})
"""
BAD_AT_IMPORT = "import json\nraise LookupError('the new code is broken')\n"
BAD_SYNTAX = "def app(:\n"
PATIENCE_S = 30.0


class Place:
    """A directory with an application, and a run-time directory."""

    def __init__(self, path: Path, runtime: Path) -> None:
        self.path = path
        self.runtime = runtime
        #: Flags that say which server is meant: others may run on this machine, and be found.
        self.where: tuple[str, ...] = ()
        self.environment = {"XDG_RUNTIME_DIR": str(self.runtime), "PYTHONDONTWRITEBYTECODE": "1"}
        self.write(GOOD)

    def write(self, code: str, word: str = "one") -> None:
        (self.path / "shop.py").write_text(code.replace("WORD", word))

    def running(self, *flags: str, **more: Any) -> Any:
        return running("shop:app", *flags, cwd=self.path, environment=self.environment, **more)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command_for("x")[:-4], *arguments, *self.where],
            cwd=self.path,
            env=child_environment(self.environment),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def status(self) -> dict[str, Any]:
        done = self.command("status", "--json")
        assert done.returncode == 0, done.stderr
        status: dict[str, Any] = json.loads(done.stdout)
        return status

    def mean(self, server: Server) -> None:
        self.where = ("--port", str(server.port))

    def wait_for(self, states: list[str]) -> dict[str, Any]:
        """Ask until the workers are in these states, in any order; a server that has just started may not hear yet."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            done = self.command("status", "--json")
            status: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {"workers": []}
            if sorted(worker["state"] for worker in status["workers"]) == sorted(states):
                return status
            assert time.monotonic() < deadline, (done, status)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """The run-time directory has a short name, so that the path of a socket fits."""
    with tempfile.TemporaryDirectory(prefix="t") as runtime:
        yield Place(tmp_path, Path(runtime))


@pytest.fixture
def served(place: Place) -> Iterator[tuple[Place, Server]]:
    """Two workers."""
    with place.running("--workers", "2") as server:
        place.mean(server)
        place.wait_for(["ready", "ready"])
        yield place, server


def test_status_tells_what_runs(served: tuple[Place, Server]) -> None:
    place, server = served
    assert httpx.get(server.origin).text == "one"
    # An answer is sent before it is counted.
    until(lambda: sum(worker["served"] for worker in place.status()["workers"]) == 1, "the answer is counted")
    status = place.status()
    assert status["ok"] and status["pid"] == server.pid and status["mode"] == "running"
    assert status["listening"] == [server.origin]
    assert (status["wanted"], status["generation"], status["abandoned"]) == (2, 1, None)
    assert "shop:app" in status["application"]
    assert {worker["slot"] for worker in status["workers"]} == {1, 2}
    for worker in status["workers"]:
        os.kill(worker["pid"], 0)
        assert worker["rss_bytes"] > 1 << 20 and worker["age_s"] >= 0
    assert sum(worker["served"] for worker in status["workers"]) == 1
    table = place.command("status").stdout
    assert re.search(rf"pid {server.pid}, 2 of 2 workers, generation 1", table)
    assert len([line for line in table.splitlines() if " ready " in line]) == 2


def test_the_socket_is_ours_alone_and_gone_at_the_end(place: Place) -> None:
    with place.running("--workers", "1") as server:
        place.mean(server)
        place.wait_for(["ready"])
        (path,) = place.runtime.iterdir()
        assert path.name == f"torana-127.0.0.1-{server.port}.ctl"
        assert path.stat().st_mode & 0o777 == 0o600
    assert list(place.runtime.iterdir()) == []


def test_scale_up_and_down(served: tuple[Place, Server]) -> None:
    place, _ = served
    done = place.command("scale", "3")
    assert (done.returncode, done.stdout) == (0, "3 workers are wanted, 2 were before\n")
    place.wait_for(["ready"] * 3)
    assert place.command("scale", "1").returncode == 0
    assert place.wait_for(["ready"])["wanted"] == 1


def test_reload_waits_until_the_new_code_serves(served: tuple[Place, Server]) -> None:
    place, server = served
    before = {worker["pid"] for worker in place.status()["workers"]}
    place.write(GOOD, "two")
    done = place.command("reload", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert answer["generation"] == 2 and answer["took_s"] > 0
    assert {httpx.get(server.origin).text for _ in range(10)} == {"two"}
    status = place.wait_for(["ready", "ready"])
    assert status["generation"] == 2 and not before & {worker["pid"] for worker in status["workers"]}


@pytest.mark.parametrize(
    ("code", "sentence"), [(BAD_AT_IMPORT, "LookupError: the new code is broken"), (BAD_SYNTAX, "syntax error")]
)
def test_a_reload_of_broken_code_is_abandoned_and_shown(served: tuple[Place, Server], code: str, sentence: str) -> None:
    place, server = served
    place.write(code)
    done = place.command("reload")
    assert done.returncode == 1 and done.stdout == ""
    assert sentence in done.stderr and "shop.py" in done.stderr
    assert done.stderr.count("Traceback") == (1 if code is BAD_AT_IMPORT else 0)
    assert httpx.get(server.origin).text == "one"
    status = place.wait_for(["ready", "ready"])
    assert sentence in status["abandoned"]["why"] + status["abandoned"]["text"]
    assert "The last reload was abandoned" in place.command("status").stdout
    place.write(GOOD, "two")
    assert place.command("reload").returncode == 0
    assert httpx.get(server.origin).text == "two"


def test_an_abandoned_reload_that_a_signal_asked_for_shows_in_the_status(served: tuple[Place, Server]) -> None:
    place, server = served
    place.write(BAD_AT_IMPORT)
    mark = server.mark()
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_log("abandoned", since=mark)
    assert "LookupError" in place.status()["abandoned"]["why"]


def test_dump_shows_the_stacks_in_the_log(served: tuple[Place, Server]) -> None:
    place, server = served
    one, other = sorted(worker["pid"] for worker in place.status()["workers"])
    mark = server.mark()
    done = place.command("dump", str(one))
    assert done.returncode == 0 and str(one) in done.stdout and str(other) not in done.stdout
    server.wait_for_log("File ", since=mark)
    assert place.command("dump").returncode == 0
    refused = place.command("dump", str(server.pid))
    assert refused.returncode == 1 and str(server.pid) in refused.stderr


@pytest.mark.parametrize("flags", [(), ("--now",)])
def test_stop_returns_when_all_is_over(place: Place, flags: tuple[str, ...]) -> None:
    with place.running("--workers", "2") as server:
        place.mean(server)
        place.wait_for(["ready", "ready"])
        workers = [worker["pid"] for worker in place.status()["workers"]]
        done = place.command("stop", *flags)
        assert (done.returncode, done.stdout) == (0, f"Server {server.pid} is stopping\nStopped\n")
        for worker in workers:
            with pytest.raises(ProcessLookupError):
                os.kill(worker, 0)
        assert server.process.wait(PATIENCE_S) == 0
    done = place.command("stop")
    assert done.returncode == 2 and f"no server runs at 127.0.0.1:{server.port}" in done.stderr


def test_two_servers_are_told_apart(place: Place) -> None:
    with place.running("--workers", "1") as one, place.running("--workers", "1") as other:
        for server in (one, other):
            place.mean(server)
            assert place.wait_for(["ready"])["pid"] == server.pid
        place.where = ()
        done = place.command("status")
        assert done.returncode == 2 and "several servers run" in done.stderr
        (place.path / "torana.toml").write_text(f"port = {one.port}\n")
        assert place.status()["pid"] == one.pid


def test_what_a_killed_server_left_is_replaced(place: Place) -> None:
    path = place.path / "x.ctl"
    place.where = ("--control-socket", str(path))
    with place.running("--workers", "1", *place.where, expect_exit=None) as server:
        place.wait_for(["ready"])
        server.process.kill()
        server.process.wait()
    assert path.exists()
    done = place.command("status")
    assert done.returncode == 2 and "no server listens at" in done.stderr
    with place.running("--workers", "1", *place.where):
        place.wait_for(["ready"])
    assert not path.exists()


def test_no_run_time_directory_is_no_error(place: Place) -> None:
    place.environment["XDG_RUNTIME_DIR"] = str(place.path / "nowhere")
    with place.running("--workers", "1", "--control-socket", "auto") as server:
        assert httpx.get(server.origin).text == "one"


def test_a_socket_that_cannot_be_made_is_a_warning(place: Place) -> None:
    with place.running("--workers", "1", "--control-socket", str(place.path / "no" / "x")) as server:
        assert httpx.get(server.origin).text == "one"
        server.wait_for_log("No control socket")


def test_clients_that_ask_nothing_keep_nobody_from_asking(served: tuple[Place, Server]) -> None:
    place, _ = served
    (path,) = place.runtime.iterdir()
    idle = []
    for _ in range(20):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(path))
        idle.append(sock)
    # They are turned out after some seconds, whoever comes meanwhile is told to try again.
    deadline = time.monotonic() + PATIENCE_S
    while (done := place.command("status")).returncode != 0:
        assert "too many commands" in done.stderr
        assert time.monotonic() < deadline
    for sock in idle:
        sock.close()
