"""A worker that runs out of descriptors: no busy loop, no lost client, and it recovers (G-067)."""

from __future__ import annotations

import os
import resource
import sys
import time
from pathlib import Path

import pytest

from tests.support.memory import require_proc
from tests.support.raw import Connection
from tests.support.server import Server, child_environment, command_for

LIMIT = 100
APP = """
import asyncio, os

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("http only")
    if scope["path"] == "/hoard":
        # What is left of the descriptors, taken by the application itself.
        held = []
        try:
            while True:
                held.append(os.dup(0))
        except OSError:
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"none left", "more_body": True})
        await asyncio.sleep(1.5)
        while held:
            os.close(held.pop())
        await send({"type": "http.response.body", "body": b""})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
"""


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture
def server(tmp_path: Path) -> object:
    require_proc()
    (tmp_path / "site_under_test.py").write_text(APP)
    command = command_for("site_under_test:app", "--no-access-log", app_dir=tmp_path)
    code = (
        f"import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, ({LIMIT}, {LIMIT})); "
        "os.execvp(sys.argv[1], sys.argv[1:])"
    )
    server = Server([sys.executable, "-c", code, *command], tmp_path, child_environment())
    try:
        server.wait_until_ready()
        yield server
        assert server.stop() == 0, server.log
    finally:
        if server.process.poll() is None:
            server.kill()


@pytest.mark.threat("G-067", sent="every descriptor taken", verdict="waits without spinning, serves again at once")
def test_starved_worker_waits_quietly_and_recovers(server: Server) -> None:
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > LIMIT
    with Connection(server.address) as inside:
        # Whose request runs does not give way to those who wait.
        inside.request("GET", "/hoard")
        inside.read_until(b"none left")
        waiting = [Connection(server.address) for _ in range(20)]
        for client in waiting:
            client.request("GET", "/")
        server.wait_for_log("cannot accept")
        before = cpu_s(server.pid)
        inside.read_until(b"\r\n0\r\n\r\n")
        assert cpu_s(server.pid) - before < 0.5
        for client in waiting:
            assert client.read().body == b"ok"
            client.close()
    starved = [line for line in server.log.splitlines() if "cannot accept" in line]
    assert len(starved) == 1


@pytest.mark.threat("G-067", sent="more clients than descriptors", verdict="all answered")
def test_more_clients_than_descriptors_are_all_answered(server: Server) -> None:
    while True:
        began_s = time.monotonic()
        clients = [Connection(server.address) for _ in range(2 * LIMIT)]
        for client in clients:
            client.request("GET", "/", "Connection: close")
        # Whoever asks for nothing for 0.25 s gives way to those who wait: nobody may have been that slow.
        if time.monotonic() - began_s < 0.2:
            break
        for client in clients:
            client.close()
    answers = []
    for client in clients:
        answers.append(client.read().status)
        client.close()
    assert set(answers) <= {200, 503} and answers.count(200) >= LIMIT // 4
    with Connection(server.address) as late:
        assert late.ask("GET", "/").status == 200
