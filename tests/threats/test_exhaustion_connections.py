"""More connections than places, and more than descriptors (threats G-064, G-067)."""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.raw import Connection
from tests.threats.stage import Stage, staged

_CAP = 20
_HALF = b"GET / HTTP/1.1\r\nHost: t\r\n"
#: A worker that has nothing to do and waits for descriptors looks again ten times a second.
_IDLE_S = 1.5
_IDLE_SHARE = 0.25


@pytest.fixture(scope="module")
def small_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    flags = ("--limit-connections", str(_CAP), "--health-path", "/health", "--timeout-first-byte", "60")
    with staged(tmp_path_factory.mktemp("small"), "asgi_site", *flags) as stage:
        yield stage


@contextlib.contextmanager
def _held(stage: Stage, count: int, said: bytes = b"") -> Iterator[list[Connection]]:
    """So many connections that have said so much."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(stage.connect()) for _ in range(count)]
        for connection in connections:
            connection.send(said)
        yield connections


def _is_closed(connection: Connection) -> bool:
    """Whether the server has closed, as far as is known now."""
    connection.socket.setblocking(False)
    try:
        return connection.socket.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
    finally:
        connection.socket.settimeout(20)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(said, marks=pytest.mark.threat("G-067", sent=sent, verdict=verdict), id=sent)
        for sent, said in (
            ("silent connections at the cap", b""),
            ("connections with half a head at the cap", _HALF),
            ("connections that have had an answer at the cap", _HALF + b"\r\n"),
        )
        for verdict in ("newcomers are served; the one that waits longest has given way, the youngest has not",)
    ],
)
def test_the_longest_waiting_give_way(small_stage: Stage, said: bytes) -> None:
    small_stage.bystander.rest()
    with _held(small_stage, 1, said) as first:
        # Those that come in one batch are of one age.
        small_stage.fence()
        with _held(small_stage, _CAP - 2, said) as others:
            small_stage.fence()
            with _held(small_stage, 1, said) as last:
                _displace(small_stage, [*first, *others, *last], is_answered=said.endswith(b"\r\n\r\n"))


def _displace(stage: Stage, connections: list[Connection], *, is_answered: bool) -> None:
    """Newcomers come while these have all places."""
    if is_answered:
        assert [connection.read().status for connection in connections] == [200] * _CAP
    for _ in range(3):
        _ask_until_served(stage)
    assert _is_closed(connections[0])
    assert not _is_closed(connections[-1])


def _ask_until_served(stage: Stage) -> None:
    """The young are spared for a moment: so long a newcomer is told to come again."""
    until = time.monotonic() + 15
    while stage.ask("/").status != 200:
        assert time.monotonic() < until, "nobody gives way"
        time.sleep(0.05)


@pytest.mark.threat(
    "G-067",
    sent="three times as many silent connections as there are places, all at once, nobody's deadline near",
    verdict="newcomers are served as soon as the young ones are not young any more",
)
def test_a_flood_does_not_shut_the_door(small_stage: Stage) -> None:
    with _held(small_stage, 3 * _CAP):
        until = time.monotonic() + 15
        while True:
            with contextlib.suppress(OSError, EOFError), small_stage.connect(timeout_s=15) as connection:
                if connection.ask("GET", "/", "Connection: close").status == 200:
                    return
            assert time.monotonic() < until, "nobody is let in any more"


@pytest.mark.threat(
    "G-067",
    sent="requests under way on every connection at the cap, and one more connection",
    verdict="503 with Retry-After for its request, the health path is answered, those under way go on",
)
def test_one_too_many_is_told_so(small_stage: Stage) -> None:
    slow = b"GET /slow/1.5 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
    small_stage.bystander.rest()
    with _held(small_stage, _CAP, slow) as busy:
        with small_stage.connect() as connection:
            answer = connection.ask("GET", "/")
            assert (answer.status, answer.get("retry-after")) == (503, b"1")
            assert connection.is_ended()
        with small_stage.connect() as connection:
            assert connection.ask("GET", "/health").status == 200
        assert [one.read().status for one in busy] == [200] * _CAP


@contextlib.contextmanager
def _descriptors(stage: Stage, more: int) -> Iterator[None]:
    """The worker may open so many descriptors more than it has now."""
    pid = stage.server.pid
    usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    held = {int(name.name) for name in Path(f"/proc/{pid}/fd").iterdir()}
    # A limit is on the number of a descriptor, and the lowest that is free is given.
    limit, free = 0, 0
    while free < more or limit <= max(held):
        free += limit not in held
        limit += 1
    try:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, usual[1]))
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)


@pytest.fixture
def own_stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path, "asgi_site", "--timeout-first-byte", "60") as stage:
        stage.fence()
        stage.bystander.rest()
        yield stage


@pytest.mark.threat(
    "G-067",
    sent="EMFILE from accept while other connections are idle",
    verdict="the longest idle give way at once, and the newcomer is served",
)
def test_without_descriptors_the_idle_give_way(own_stage: Stage) -> None:
    with contextlib.ExitStack() as stack:
        # Those that come in one batch are of one age.
        connections = []
        for count in (1, 38, 1):
            held = stack.enter_context(_held(own_stage, count, _HALF + b"\r\n"))
            assert {connection.read().status for connection in held} == {200}
            connections += held
        with _descriptors(own_stage, 0):
            assert own_stage.ask("/").status == 200
        assert _is_closed(connections[0])
        assert not _is_closed(connections[-1])


@pytest.mark.threat(
    "G-067",
    sent="EMFILE from accept while every connection has a request under way",
    verdict="accepting pauses and never spins; it goes on as soon as a descriptor is free; one line says why",
)
def test_without_descriptors_accepting_does_not_spin(own_stage: Stage) -> None:
    slow = b"GET /slow/3 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
    mark = own_stage.server.mark()
    own_stage.events()
    with _held(own_stage, 5, slow) as busy:
        own_stage.wait_for_calls(5)
        with _descriptors(own_stage, 0), _held(own_stage, 10, _HALF + b"\r\n") as waiting:
            before = own_stage.vitals().processor_s
            time.sleep(_IDLE_S)
            assert own_stage.vitals().processor_s - before <= _IDLE_S * _IDLE_SHARE
            assert [one.read().status for one in busy] == [200] * 5
            assert [one.read().status for one in waiting] == [200] * 10
    assert own_stage.server.log_since(mark).count("cannot accept") == 1


@pytest.mark.threat(
    "G-067",
    sent="connections that leave at once, half of them with a reset",
    verdict="nothing remains of them; the healthy client is served",
)
def test_connections_that_come_and_go(asgi_stage: Stage) -> None:
    with asgi_stage.attacked():
        for number in range(400):
            connection = asgi_stage.connect()
            if number % 2:
                connection.reset()
            else:
                connection.close()
