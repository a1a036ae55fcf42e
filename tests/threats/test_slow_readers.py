"""Clients that take nothing of a large answer, or little (threat G-066), a few of each and with short deadlines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.http2 import headers, settings, update
from tests.support.raw import Connection
from tests.threats.http2_wire import PREFACE, SETTLED, Streams
from tests.threats.stage import Stage, staged
from tests.unit.wire.corpus.http2_case import to

_CLIENTS = 5
_SIZE = 8 * 1024 * 1024
#: Longer than a second: no case is cut while the line about the case before it keeps its own line from being written.
_FLAGS = ("--timeout-write", "1.2", "--min-write-rate", "5000", "--timeout-http2-stalled", "1.2")
_BUFFER_BYTES = 4096
#: What the kernel may hold of one answer: what is not on its way, and what its bookkeeping makes of it.
_KERNEL_BYTES = 1024 * 1024
_PATHS = {"streamed": f"/big/{_SIZE}", "a file": "/file{file}"}
_CASES = [(kind, name) for kind in ("large_asgi", "large_wsgi") for name in _PATHS]


@pytest.fixture(scope="module")
def slow_stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Stage]]:
    place = tmp_path_factory.mktemp
    with (
        staged(place("asgi"), "large_asgi", *_FLAGS) as asgi,
        staged(place("wsgi"), "large_wsgi", *_FLAGS, "--threads", "16") as wsgi,
    ):
        yield {"large_asgi": asgi, "large_wsgi": wsgi}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("file") / "large"
    with path.open("wb") as opened:
        opened.truncate(_SIZE)
    return path


@pytest.mark.threat(
    "G-066",
    sent=f"{_CLIENTS} clients with small buffers ask for 8 MiB, streamed or a file, and read nothing",
    verdict="a bounded buffer, in the kernel too; then the connection is cut, and a line says why",
)
@pytest.mark.parametrize(("kind", "name"), _CASES)
def test_an_answer_that_nobody_reads(slow_stages: dict[str, Stage], file: Path, kind: str, name: str) -> None:
    stage = slow_stages[kind]
    mark = stage.server.mark()
    with stage.attacked():
        connections = [stage.connect(receive_buffer_bytes=_BUFFER_BYTES) for _ in range(_CLIENTS)]
        for connection in connections:
            connection.request("GET", _PATHS[name].format(file=file))
        for connection in connections:
            held = _kernel_bytes(connection)
            _await_cut(connection)
            assert held <= _KERNEL_BYTES
            with connection:
                assert len(connection.read_to_end()) < _SIZE
    assert "client takes the response too slowly" in stage.server.wait_for_log("timeout_write", since=mark)


def _kernel_bytes(connection: Connection) -> int:
    """What the server's kernel holds for this client; 0 once the connection is gone."""
    local, remote = connection.socket.getpeername()[1], connection.socket.getsockname()[1]
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        ports = [int(words[at].rpartition(":")[2], 16) for at in (1, 2)]
        if ports == [local, remote]:
            return int(words[4].partition(":")[0], 16)
    return 0


def _await_cut(connection: Connection) -> None:
    """Without reading: until the server's end of the connection is closed."""
    until = time.monotonic() + 15
    local, remote = connection.socket.getpeername()[1], connection.socket.getsockname()[1]
    while f":{local:04X} 0100007F:{remote:04X} 01" in Path("/proc/net/tcp").read_text():
        assert time.monotonic() < until, "the connection is held for ever"
        time.sleep(0.05)


@pytest.mark.threat(
    "G-066",
    sent="a client that takes 8 MiB slowly, but more than the least rate, for longer than every deadline",
    verdict="gets all of it",
)
@pytest.mark.parametrize(("kind", "name"), _CASES)
def test_a_slow_but_steady_reader_gets_all(slow_stages: dict[str, Stage], file: Path, kind: str, name: str) -> None:
    with slow_stages[kind].connect(receive_buffer_bytes=64 * 1024) as connection:
        connection.request("GET", _PATHS[name].format(file=file))
        # The beginning for longer than the deadlines, then the rest at once.
        begun = b""
        for _ in range(100):
            begun += connection.socket.recv(16 * 1024)
            time.sleep(0.02)
        connection._pending[:0] = begun
        answer = connection.read()
        assert answer.is_complete
        assert len(answer.body) == _SIZE


@pytest.mark.threat(
    "G-066",
    sent="HTTP/2: windows of nothing, or one that is used up and not opened again",
    verdict="the stream is reset, and a line says why; the connection goes on",
)
@pytest.mark.parametrize("window", [0, 65535])
@pytest.mark.parametrize("kind", ["large_asgi", "large_wsgi"])
def test_windows_that_stay_closed(slow_stages: dict[str, Stage], kind: str, window: int) -> None:
    stage = slow_stages[kind]
    mark = stage.server.mark()
    with stage.attacked(), Streams(stage.connect()) as client:
        client.send(PREFACE, settings((4, window)), SETTLED)
        for stream in (1, 3):
            client.send(headers(stream, to(f"/big/{_SIZE}".encode())))
        client.answered(1, 3)
        assert set(client.peer.resets) == {1, 3}
        client.send(settings((4, 65535)), update(0, 65535), headers(5, to(b"/after")))
        client.answered(5)
        assert client.status(5) == 200
    assert stage.server.wait_for_log("timeout_http2_stalled", since=mark)
