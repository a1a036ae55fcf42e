"""What happens before a server stops and before it is ready, with the real command and real signals."""

from __future__ import annotations

import signal
import socket
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.support.server import child_environment, command_for, running

SITE = """
import asyncio
seen = []
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("http only")
    seen.append(scope["path"])
    if scope["path"] == "/events":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await asyncio.Event().wait()
    status = 500 if scope["path"] == "/broken" else 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": " ".join(seen).encode()})
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with an application."""
    (tmp_path / "site_under_test.py").write_text(SITE)
    return tmp_path


def test_readiness_turns_before_the_doors_close(place: Path) -> None:
    flags = ("--drain-delay", "3", "--health-path", "/healthz")
    with running("site_under_test:app", *flags, cwd=place) as server:
        health = f"{server.origin}/healthz"
        assert httpx.get(health).text == "ok"
        server.process.send_signal(signal.SIGTERM)
        server.wait_for_log("still accepted for 3 s")
        answer = httpx.get(health)
        assert (answer.status_code, answer.headers["connection"]) == (503, "close")
        assert httpx.get(server.origin).headers["connection"] == "close"
        assert server.process.wait(20) == 0
        with pytest.raises(OSError), socket.create_connection(server.address):
            pass


def test_a_second_interrupt_does_not_wait_for_the_delay(place: Path) -> None:
    with running("site_under_test:app", "--drain-delay", "600", cwd=place) as server:
        server.process.send_signal(signal.SIGINT)
        server.wait_for_log("still accepted")
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(20) == 0


def test_idle_connections_do_not_hold_up_a_stop(place: Path) -> None:
    with running("site_under_test:app", "--timeout-graceful", "600", cwd=place) as server, httpx.Client() as client:
        assert client.get(server.origin).status_code == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0


def test_the_log_says_who_held_the_door(place: Path) -> None:
    with (
        running("site_under_test:app", "--timeout-graceful", "0.2", "--timeout-cancel", "0.2", cwd=place) as server,
        httpx.stream("GET", f"{server.origin}/events?key=secret") as stream,
    ):
        assert next(stream.iter_bytes()) == b"x"
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
    assert "told to end: 1 request GET /events" in server.log


def test_ready_means_warm(place: Path) -> None:
    with running("site_under_test:app", "--warm-up", "/warm", cwd=place) as server:
        assert httpx.get(server.origin).text == "/warm /"


def test_exit_code_3_for_an_application_that_fails_its_warm_up(place: Path) -> None:
    result = subprocess.run(
        [*command_for("site_under_test:app"), "--warm-up", "/broken"],
        cwd=place, env=child_environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 3
    assert "the warm-up request GET /broken was answered 500" in result.stderr
    assert "Traceback" not in result.stderr
