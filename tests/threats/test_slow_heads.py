"""Connections that are silent and heads that never end, a few of each and with short deadlines (threat G-064).

Thousands of them, with the deadlines of every day: ``tests/attacks/test_heads.py``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.support.raw import Answer, Connection
from tests.threats.stage import Stage, staged

#: A few at a time: what is true of them is true of each.
_CLIENTS = 6
#: Clients that drip do so for longer than any deadline here may last.
_DRIPPING_S = 15.0
_HEAD = b"GET / HTTP/1.1\r\nHost: t\r\n"
_GOOD = _HEAD + b"\r\n"
#: What is said first, what is said again and again, and what comes of it (None: a close without a word).
_SLOW: dict[str, tuple[bytes, bytes, int | None]] = {
    "silence": (b"", b"", None),
    "silence after one empty line": (b"\r\n", b"", None),
    "silence within the request line": (b"GET /", b"", 408),
    "silence within a field": (_HEAD + b"X-a: b", b"", 408),
    "a field again and again": (_HEAD, b"X-a: b\r\n", 408),
    "a byte again and again": (_HEAD + b"X-a: ", b"b", 408),
    "a byte of the request line again and again": (b"GET /", b"a", 408),
    "empty lines again and again": (b"", b"\r\n", 400),
}


@pytest.fixture(scope="module")
def slow_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    # Enough for the bystander, and for those that shall begin a head in time, to wait for the processor.
    flags = (
        "--timeout-first-byte", "1.5", "--timeout-head", "0.5", "--timeout-head-max", "0.6",
        "--timeout-keep-alive", "1.5", "--timeout-linger", "0.1",
    )  # fmt: skip
    with staged(tmp_path_factory.mktemp("slow"), "asgi_site", *flags) as stage:
        yield stage


def _verdict(name: str) -> str:
    status = _SLOW[name][2]
    return "closed without a word at the deadline" if status is None else f"{status} at the deadline, and the end"


def _cases() -> list[object]:
    return [
        pytest.param(*case, marks=pytest.mark.threat("G-064", sent=name, verdict=_verdict(name)), id=name)
        for name, case in _SLOW.items()
    ]


@pytest.mark.parametrize("is_kept", [False, True], ids=["at first", "after a good request"])
@pytest.mark.parametrize(("opening", "drop", "status"), _cases())
def test_a_head_that_does_not_end(
    slow_stage: Stage, opening: bytes, drop: bytes, status: int | None, is_kept: bool
) -> None:
    slow_stage.events()
    with slow_stage.attacked():
        connections = [slow_stage.connect() for _ in range(_CLIENTS)]
        for connection in connections:
            if is_kept:
                connection.send(_GOOD)
                assert connection.read().status == 200
            connection.send(opening)
        for connection in connections:
            _drip(connection, drop)
        answers = [_end(connection) for connection in connections]
    assert answers == [status] * _CLIENTS
    assert len(slow_stage.calls()) == is_kept * _CLIENTS, "a request that was none has reached the application"


def _drip(connection: Connection, drop: bytes) -> None:
    """Go on until the server has answered or closed: progress does not move the deadline."""
    until = time.monotonic() + _DRIPPING_S
    connection.socket.setblocking(False)
    while drop:
        assert time.monotonic() < until, "a drip of bytes keeps the connection for ever"
        try:
            connection.send(drop)
            if connection.socket.recv(1, 0x2):  # MSG_PEEK
                break
        except BlockingIOError:
            time.sleep(0.01)
        except OSError:
            break
        else:
            break
    connection.socket.settimeout(_DRIPPING_S)


def _end(connection: Connection) -> int | None:
    """The status of the one answer, if there is one; then the connection must be over."""
    with connection:
        answer: Answer | None = None
        try:
            answer = connection.read()
        except EOFError as cut:
            assert not cut.args[0]
        assert connection.is_ended()
        return None if answer is None else answer.status


@pytest.mark.threat(
    "G-064",
    sent="500 silent connections and 500 with half a head",
    verdict="no more than 8 KiB of memory for each",
)
def test_a_waiting_connection_costs_little(asgi_stage: Stage) -> None:
    asgi_stage.fence()
    before = asgi_stage.vitals()
    connections = [asgi_stage.connect() for _ in range(1000)]
    try:
        for connection in connections[::2]:
            connection.send(_HEAD)
        asgi_stage.fence()
        growth = asgi_stage.vitals().resident_bytes - before.resident_bytes
        # Pages are taken a few at a time.
        assert growth <= len(connections) * 8 * 1024 + 1024 * 1024
    finally:
        for connection in connections:
            connection.close()
    asgi_stage.settle(before)
