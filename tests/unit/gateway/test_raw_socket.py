"""The socket in ``environ``: for which requests it stands there, and what it takes from whom and when."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tests.unit.gateway.wsgi_stage import Stage, seen_environ
from torana.base.endpoints import Endpoints
from torana.gateway.options import GatewayOptions
from torana.gateway.wsgi.raw_socket import KEYS, OpenSockets, RawSocket, offer
from torana.wire.events import RequestHead


class Stream:
    """Records what is asked of it; receives "abcdef"."""

    def __init__(self) -> None:
        self.acts: list[Any] = []
        self.data = b"abcdef"
        self.takes = 1 << 30

    def recv(self, size: int, timeout_s: float | None) -> bytes:
        self.acts.append(timeout_s)
        data, self.data = self.data[:size], self.data[size:]
        return data

    def send(self, data: Any, timeout_s: float | None) -> int:
        return min(len(data), self.takes)

    def fileno(self) -> int:
        return 77

    def option(self, *what: int) -> int:
        self.acts.append(what)
        return 1

    def finish(self) -> None:
        self.acts.append("finish")

    def close(self) -> None:
        self.acts.append("close")


class Asked:
    """As much of a request as is looked at."""

    def __init__(self, version: str, method: str, upgrade: bytes | None, length: int) -> None:
        self.head = RequestHead()
        self.head.version, self.head.method = version, method
        self.head.upgrade, self.head.content_length = upgrade, length
        self.endpoints = Endpoints(("192.0.2.7", 50123), ("198.51.100.1", 8000), "http")


def made(stream: Stream | None) -> tuple[RawSocket, OpenSockets]:
    sockets = OpenSockets()
    endpoints = Endpoints(("192.0.2.7", 50123), ("198.51.100.1", 8000), "http")
    return RawSocket(lambda: stream, endpoints, sockets), sockets  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(
    ("version", "method", "upgrade", "length", "is_offered"),
    [
        ("1.1", "GET", b"websocket", 0, True),
        ("1.1", "GET", b"WebSocket", 0, True),
        ("1.1", "GET", b"h2c, websocket", 0, True),
        ("1.1", "GET", None, 0, False),
        ("1.1", "GET", b"h2c", 0, False),
        ("1.1", "GET", b"websockets", 0, False),
        ("1.1", "POST", b"websocket", 0, False),
        ("1.1", "GET", b"websocket", 5, False),
        ("1.1", "GET", b"websocket", -1, False),
        ("1.0", "GET", b"websocket", 0, False),
        ("2", "CONNECT", b"websocket", -1, False),
        ("2", "GET", b"websocket", 0, False),
    ],
)
def test_for_which_requests(version: str, method: str, upgrade: bytes | None, length: int, is_offered: bool) -> None:
    environ: dict[str, Any] = {}
    offer(environ, Asked(version, method, upgrade, length), lambda: None, OpenSockets())  # type: ignore[arg-type]
    assert environ.keys() == ({*KEYS, "HTTP_UPGRADE", "HTTP_CONNECTION"} if is_offered else set())


def test_no_field_makes_the_keys() -> None:
    """A client cannot name them, and what it says of Connection and Upgrade is left out as before."""
    fields = ((b"host", b"a"), (b"werkzeug.socket", b"x"), (b"upgrade", b"websocket"), (b"connection", b"upgrade"))
    environ = seen_environ(fields=fields)
    assert not {*KEYS, "HTTP_UPGRADE", "HTTP_CONNECTION", "HTTP_WERKZEUG_SOCKET"} & environ.keys()


def test_nothing_is_taken_before_it_is_used() -> None:
    raw, sockets = made(Stream())
    raw.settimeout(3)
    assert (raw.gettimeout(), raw.getblocking()) == (3, True)
    assert (raw.getpeername(), raw.getsockname()) == (("192.0.2.7", 50123), ("198.51.100.1", 8000))
    raw.setblocking(False)
    assert sockets.taken == 0
    raw.close()
    assert (raw.fileno(), sockets.taken) == (-1, 0)


@pytest.mark.parametrize("use", ["recv", "send", "fileno", "setsockopt", "shutdown"])
def test_it_is_taken_once_by_the_first_use(use: str) -> None:
    arguments = {"recv": (1,), "send": (b"x",), "fileno": (), "setsockopt": (1, 2, 3), "shutdown": (socket.SHUT_WR,)}
    raw, sockets = made(Stream())
    for _ in range(2):
        getattr(raw, use)(*arguments[use])
    assert (sockets.taken, sockets.held) == (1, 1)


def test_receiving_and_sending() -> None:
    stream = Stream()
    raw, _ = made(stream)
    raw.settimeout(2.5)
    assert raw.recv(2) == b"ab"
    buffer = bytearray(8)
    assert (raw.recv_into(buffer, 3), bytes(buffer[:4])) == (3, b"cde\0")
    assert (raw.recv_into(buffer), stream.acts) == (1, [2.5, 2.5, 2.5])
    raw.sendall(memoryview(b"all"))
    stream.takes = 2
    assert raw.send(b"all") == 2
    with pytest.raises(TimeoutError):
        raw.sendall(b"all")
    with pytest.raises(OSError):
        raw.recv(1, socket.MSG_PEEK)
    with pytest.raises(ValueError):
        raw.settimeout(-1)


def test_its_end() -> None:
    stream = Stream()
    raw, _ = made(stream)
    with raw:
        raw.shutdown(socket.SHUT_RD)
        raw.shutdown(socket.SHUT_WR)
        raw.shutdown(socket.SHUT_RDWR)
    assert stream.acts == ["finish", "close", "close"]
    for use in (lambda: raw.recv(1), lambda: raw.send(b""), lambda: raw.shutdown(socket.SHUT_WR)):
        with pytest.raises(OSError):
            use()
    assert raw.fileno() == -1


def test_too_late() -> None:
    raw, sockets = made(None)
    with pytest.raises(OSError):
        raw.recv(1)
    assert sockets.taken == 0


def test_channel_without_a_stream() -> None:
    """Where there is none to be had, the application hears of it and may still answer."""

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        with pytest.raises(OSError):
            environ["werkzeug.socket"].send(b"x")
        start_response("426 Upgrade Required", [])
        return [b"no"]

    with Stage(app, GatewayOptions(threads=1)) as stage:
        assert stage.run(upgrade=b"websocket").status == 426
