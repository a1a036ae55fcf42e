"""10,000 idle WebSockets, each for less than 12 KiB of the server's memory, with and without compression agreed."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.idle import IdleOutcome
from benchmarks.idle_websockets import session_of, weigh
from tests.support.memory import require_proc
from tests.support.server import Server, running

HERE = Path(__file__).parent
SOCKETS = 10_000
EACH_BYTES = 12 * 1024
#: Above 10,000 by so much that the rule "close the oldest idle when 80 % full" does not apply.
LIMIT_CONNECTIONS = 13_000
NEEDED_FILES = 17_000


@pytest.fixture
def server() -> Iterator[Server]:
    """A fresh one each time: memory that one test has left behind is not the next one's."""
    require_proc()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < NEEDED_FILES:
        pytest.skip(f"the hard limit of open files is {hard}; 10,000 sockets need {NEEDED_FILES} (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, NEEDED_FILES), hard))
    flags = ["--no-access-log", "--limit-connections", str(LIMIT_CONNECTIONS)]
    with running("websocket_site:app", *flags, app_dir=HERE) as server:
        yield server
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("has_deflate, count", [(False, SOCKETS), (True, SOCKETS // 4)], ids=["plain", "deflate"])
def test_ten_thousand_idle_websockets(server: Server, has_deflate: bool, count: int) -> None:
    outcome = IdleOutcome("torana", "websocket", count)
    url = f"ws://{server.host}:{server.port}/echo"
    weigh(url, lambda: session_of(server.pid), count, has_deflate, outcome)
    assert outcome.problem == ""
    assert (outcome.opened, outcome.held) == (count, count)
    assert outcome.new_answer_s > 0, "a new one was accepted beside them"
    assert outcome.bytes_each < EACH_BYTES, f"an idle WebSocket costs {outcome.bytes_each:.0f} bytes"
