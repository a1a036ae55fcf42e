"""10,000 idle connections, each for less than 8 KiB of the server's memory, while a new one is answered at once."""

from __future__ import annotations

import contextlib
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.memory import require_proc, resident_bytes
from tests.support.raw import Connection
from tests.support.server import Server, running

HERE = Path(__file__).parent
CONNECTIONS = 10_000
EACH_BYTES = 8 * 1024
#: Above 10,000 by so much that the rule "close the oldest idle when 80 % full" does not apply.
LIMIT_CONNECTIONS = 13_000
NEEDED_FILES = 17_000
REQUEST = b"GET /hello HTTP/1.1\r\nHost: test.example\r\n\r\n"


@pytest.fixture(scope="module")
def many_files() -> Iterator[None]:
    """This process, and what it starts, may open enough files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < NEEDED_FILES:
        pytest.skip(f"the hard limit of open files is {hard}; 10,000 connections need {NEEDED_FILES} (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, NEEDED_FILES), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def server(request: pytest.FixtureRequest, many_files: None) -> Iterator[Server]:
    require_proc()
    with running(
        f"plain_site:{request.param}_app",
        "--interface",
        request.param,
        "--no-access-log",
        "--limit-connections",
        str(LIMIT_CONNECTIONS),
        "--threads",
        "4",
        app_dir=HERE,
    ) as server:
        yield server


def connect(server: Server, number: int) -> socket.socket:
    """A connection from one of several loopback addresses, so that ports do not run out; one request is answered."""
    one = socket.create_connection(server.address, timeout=30, source_address=(f"127.0.0.{2 + number % 4}", 0))
    ask(one)
    return one


def ask(one: socket.socket) -> None:
    one.sendall(REQUEST)
    said = b""
    while not said.endswith(b"/hello"):
        part = one.recv(4096)
        assert part, f"closed after {said!r}"
        said += part
    assert said.startswith(b"HTTP/1.1 200 ")


def test_ten_thousand_idle_connections(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(20):
            stack.enter_context(contextlib.closing(connect(server, number)))
        before = resident_bytes(server.pid)
        idle = [stack.enter_context(contextlib.closing(connect(server, number))) for number in range(CONNECTIONS)]
        with Connection(server.address) as new:
            assert new.ask("GET", "/hello").body == b"/hello"
        each = (resident_bytes(server.pid) - before) / CONNECTIONS
        for one in idle[::100]:
            ask(one)
    with Connection(server.address) as new:
        assert new.ask("GET", "/hello").body == b"/hello", "all of them leaving at once does no harm"
    assert each < EACH_BYTES, f"an idle connection costs {each:.0f} bytes"
