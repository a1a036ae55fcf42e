"""Request bodies that stall (threat G-065), a few of each and with short deadlines."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.support.http2 import POST, data, headers
from tests.support.raw import Connection
from tests.threats.http2_wire import BEGIN, SETTLED, Streams
from tests.threats.stage import Stage, staged
from tests.unit.wire.corpus.http2_case import to

_CLIENTS = 4
_DRIPPING_S = 15.0
_FLAGS = (
    "--timeout-body", "1", "--timeout-body-grace", "0.5", "--min-body-rate", "500", "--timeout-linger", "0.1",
)  # fmt: skip
_LENGTH = b"POST /stalled HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\n"
_CHUNKED = b"POST /stalled HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
_NEARLY = b"POST /stalled HTTP/1.1\r\nHost: t\r\nContent-Length: 10000\r\n\r\n" + b"x" * 9900
_STALLED = {
    "a length, and nothing": (_LENGTH, b""),
    "a length, and a byte again and again": (_LENGTH, b"x"),
    "99 % of the length": (_NEARLY, b""),
    "chunked, and nothing": (_CHUNKED, b""),
    "chunked, and a chunk of a byte again and again": (_CHUNKED, b"1\r\nx\r\n"),
    "within a chunk": (_CHUNKED + b"ff\r\nx", b""),
    "within the size of a chunk": (_CHUNKED + b"f", b""),
    "within the trailer section": (_CHUNKED + b"0\r\nX-a: ", b""),
}
_VERDICT = "408 and the end; the application hears of a disconnect, a WSGI application is not called"


@pytest.fixture(scope="module")
def slow_stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Stage]]:
    place = tmp_path_factory.mktemp
    with (
        staged(place("asgi"), "asgi_site", *_FLAGS) as asgi,
        staged(place("wsgi"), "wsgi_site", *_FLAGS, "--threads", "4") as wsgi,
    ):
        yield {"asgi": asgi, "wsgi": wsgi}


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
@pytest.mark.parametrize(
    ("opening", "drop"),
    [
        pytest.param(*case, marks=pytest.mark.threat("G-065", sent=name, verdict=_VERDICT), id=name)
        for name, case in _STALLED.items()
    ],
)
def test_a_body_that_stalls(slow_stages: dict[str, Stage], kind: str, opening: bytes, drop: bytes) -> None:
    stage = slow_stages[kind]
    stage.events()
    with stage.attacked():
        connections = [stage.connect() for _ in range(_CLIENTS)]
        for connection in connections:
            connection.send(opening)
        for connection in connections:
            _drip(connection, drop)
        for connection in connections:
            with connection:
                assert connection.read().status == 408
                assert connection.is_ended()
    events = [event for event in stage.events() if event.get("path") == "/stalled"]
    bodies = [event for event in events if event["event"] == "body"]
    assert len(bodies) == len(events) - len(bodies) == (_CLIENTS if kind == "asgi" else 0)
    assert not any(event["complete"] for event in bodies)


def _drip(connection: Connection, drop: bytes) -> None:
    """Go on until the server has had enough: progress below the least rate does not help."""
    until = time.monotonic() + _DRIPPING_S
    connection.socket.setblocking(False)
    while drop:
        assert time.monotonic() < until, "a drip of bytes keeps the request for ever"
        try:
            connection.send(drop)
            if connection.socket.recv(1, 0x2):  # MSG_PEEK
                break
        except BlockingIOError:
            time.sleep(0.02)
        except OSError:
            break
    connection.socket.settimeout(_DRIPPING_S)


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
@pytest.mark.threat(
    "G-065",
    sent="HTTP/2: bodies of several streams that stall, one after 99 %",
    verdict="408 on each stream; the connection goes on",
)
def test_streams_that_stall(slow_stages: dict[str, Stage], kind: str) -> None:
    stage = slow_stages[kind]
    stage.events()
    length = (b"content-length", b"1000")
    with stage.attacked(), Streams(stage.connect()) as client:
        client.send(BEGIN, SETTLED)
        for stream in (1, 3, 5):
            client.send(headers(stream, [*to(b"/stalled", POST), length], is_end=False))
        client.send(data(3, b"x"), data(5, b"x" * 990))
        client.answered(1, 3, 5)
        assert [client.status(stream) for stream in (1, 3, 5)] == [408, 408, 408]
        client.send(headers(7, to(b"/after")))
        client.answered(7)
        assert client.status(7) == 200
    bodies = [event for event in stage.events() if event["event"] == "body" and event["path"] == "/stalled"]
    assert [event["complete"] for event in bodies] == ([False] * 3 if kind == "asgi" else [])


@pytest.mark.threat(
    "G-065",
    sent="50 bodies that stall, four WSGI threads, nobody's deadline near",
    verdict="no thread waits for a body: other requests are answered",
)
def test_threads_do_not_wait_for_bodies(wsgi_stage: Stage) -> None:
    with wsgi_stage.attacked():
        connections = [wsgi_stage.connect() for _ in range(50)]
        for at, connection in enumerate(connections):
            connection.send((_LENGTH, _CHUNKED, _NEARLY)[at % 3])
        wsgi_stage.fence()
        for connection in connections:
            connection.close()


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
@pytest.mark.threat(
    "G-065",
    sent="a body at little more than the least rate, for longer than every deadline",
    verdict="taken whole and answered",
)
def test_a_slow_but_steady_body_arrives(slow_stages: dict[str, Stage], kind: str) -> None:
    with slow_stages[kind].connect() as connection:
        # A first piece that earns two seconds at the least rate: it is the second between two pieces that has to do.
        connection.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9000\r\n\r\n" + b"x" * 1000)
        for _ in range(80):
            connection.send(b"x" * 100)
            time.sleep(0.03)
        assert connection.read().body == b"POST / 9000"
