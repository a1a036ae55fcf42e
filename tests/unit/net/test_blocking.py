"""A lent connection that blocks its users: what it gives, what wakes them, and what they find afterwards."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from torana.net.blocking import BlockingSocket

WAIT_S = 20.0


class Lent:
    """As much of a transport as is looked at."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.fd = sock.fileno()

    def stream(self) -> socket.socket:
        """What is read from and written to."""
        return self.sock

    def outgoing(self) -> int:
        """Nothing ever leaves the kernel's buffer."""
        return 1000


class Pair:
    """A blocking socket over one end, and the peer's end."""

    def __init__(self, rest: bytes = b"", idle_s: float = 0.0) -> None:
        self.sock, self.peer = socket.socketpair()
        self.sock.setblocking(False)
        self.peer.settimeout(WAIT_S)
        self.blocking = BlockingSocket(Lent(self.sock), rest, idle_s)  # type: ignore[arg-type]


@pytest.fixture
def pair() -> Iterator[Callable[..., Pair]]:
    with contextlib.ExitStack() as stack:

        def made(rest: bytes = b"", idle_s: float = 0.0) -> Pair:
            pair = Pair(rest, idle_s)
            stack.callback(pair.sock.close)
            stack.callback(pair.peer.close)
            return pair

        yield made


class Doing(threading.Thread):
    """Does something that waits, on a thread; ``result`` is what it gave or raised."""

    def __init__(self, doing: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._doing = doing
        self.result: Any = None
        self.start()

    def run(self) -> None:
        try:
            self.result = self._doing()
        except OSError as error:
            self.result = type(error)

    def done(self) -> Any:
        self.join(WAIT_S)
        assert not self.is_alive()
        return self.result


def is_readable(fd: int, limit_s: float = 0.0) -> bool:
    return bool(select.select([fd], [], [], limit_s)[0])


def test_what_was_received_already_comes_first(pair: Any) -> None:
    made = pair(b"before")
    made.peer.send(b"after")
    assert [made.blocking.recv(4, None) for _ in range(3)] == [b"befo", b"re", b"afte"]
    assert made.blocking.recv(0, None) == b""
    assert made.blocking.recv(100, None) == b"r"


def test_select_sees_what_was_received_already(pair: Any) -> None:
    made = pair(b"ab")
    fd = made.blocking.fileno()
    assert is_readable(fd)
    assert made.blocking.recv(1, None) == b"a"
    assert is_readable(fd)
    assert made.blocking.recv(1, None) == b"b"
    assert not is_readable(fd)
    made.peer.send(b"c")
    assert is_readable(fd, WAIT_S)
    assert made.blocking.fileno() == fd


def test_times(pair: Any) -> None:
    made = pair()
    with pytest.raises(BlockingIOError):
        made.blocking.recv(1, 0.0)
    with pytest.raises(TimeoutError):
        made.blocking.recv(1, 0.01)
    size = made.blocking.send(bytes(4_000_000), 0.01)
    assert 0 < size < 4_000_000
    with pytest.raises(TimeoutError):
        made.blocking.send(b"x", 0.01)
    with pytest.raises(BlockingIOError):
        made.blocking.send(b"x", 0.0)
    assert made.blocking.sent == size


def test_all_is_sent_and_two_senders_do_not_mix(pair: Any) -> None:
    made = pair()
    data = [bytes([byte]) * 1_000_000 for byte in b"ab"]
    senders = [Doing(lambda part=part: made.blocking.send(part, None)) for part in data]  # type: ignore[misc]
    received = b""
    while len(received) < 2_000_000:
        received += made.peer.recv(100_000)
    assert received in (data[0] + data[1], data[1] + data[0])
    assert [sender.done() for sender in senders] == [1_000_000, 1_000_000]


@pytest.mark.parametrize("way", ["stop", "end", "close"])
def test_whoever_waits_is_woken(pair: Any, way: str) -> None:
    made = pair()
    receiver = Doing(lambda: made.blocking.recv(1, None))
    sender = Doing(lambda: made.blocking.send(bytes(4_000_000), None))
    fd = made.blocking.fileno()
    watcher = Doing(lambda: is_readable(fd, WAIT_S))
    assert made.peer.recv(1) == b"\0"
    getattr(made.blocking, way)()
    assert receiver.done() == b""
    assert sender.done() is BrokenPipeError
    assert watcher.done() is True
    assert made.blocking.recv(1, None) == b""
    with pytest.raises(BrokenPipeError):
        made.blocking.send(b"x", None)


def test_nothing_is_taken_after_the_end(pair: Any) -> None:
    """What arrives then is for whoever owns the connection."""
    made = pair(b"rest")
    made.blocking.end()
    made.peer.send(b"data")
    assert made.blocking.recv(10, None) == b""
    assert made.blocking.fileno() == -1
    assert made.sock.recv(10) == b"data"


@pytest.mark.parametrize(("way", "is_over"), [("finish", False), ("close", True), ("stop", True), ("end", False)])
def test_what_the_peer_sees(pair: Any, way: str, is_over: bool) -> None:
    made = pair()
    made.blocking.send(b"last", None)
    getattr(made.blocking, way)()
    assert made.peer.recv(100) == b"last"
    made.peer.settimeout(0.01 if way == "end" else WAIT_S)
    if way == "end":
        with pytest.raises(TimeoutError):
            made.peer.recv(1)
    else:
        assert made.peer.recv(1) == b""
        with contextlib.suppress(OSError):
            made.peer.send(b"reply")
        assert made.blocking.recv(100, None) == (b"" if is_over else b"reply")


def test_peer_that_takes_nothing_is_given_up(pair: Any) -> None:
    made = pair(idle_s=0.05)
    with pytest.raises(TimeoutError):
        made.blocking.send(bytes(4_000_000), None)
    assert made.blocking.is_slow and made.blocking.is_over


def test_peer_that_is_gone(pair: Any) -> None:
    made = pair()
    made.peer.close()
    assert made.blocking.recv(1, None) == b""
    with pytest.raises(BrokenPipeError):
        made.blocking.send(b"x", None)


def test_options(pair: Any) -> None:
    made = pair()
    made.blocking.option(socket.SOL_SOCKET, socket.SO_SNDBUF, 40_000)
    assert made.blocking.option(socket.SOL_SOCKET, socket.SO_SNDBUF) >= 40_000
    assert made.blocking.option(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


class TlsPair:
    """The same over TLS; the peer's end is an ordinary blocking ``SSLSocket``."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        trustme = pytest.importorskip("trustme")
        authority = trustme.CA()
        ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(ours)
        theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority.configure_trust(theirs)
        first, second = socket.socketpair()
        second.settimeout(WAIT_S)
        shaking = Doing(lambda: ours.wrap_socket(first, server_side=True))
        self.peer = stack.enter_context(theirs.wrap_socket(second, server_hostname="localhost"))
        self.sock = stack.enter_context(shaking.done())
        self.sock.setblocking(False)
        self.blocking = BlockingSocket(Lent(self.sock), b"", 0.0)  # type: ignore[arg-type]


@pytest.fixture
def tls_pair() -> Iterator[TlsPair]:
    with contextlib.ExitStack() as stack:
        yield TlsPair(stack)


def test_select_sees_what_tls_holds(tls_pair: TlsPair) -> None:
    tls_pair.peer.sendall(b"0123456789")
    fd = tls_pair.blocking.fileno()
    assert is_readable(fd, WAIT_S)
    for digit in b"0123456789":
        assert is_readable(fd)
        assert tls_pair.blocking.recv(1, None) == bytes([digit])
    assert not is_readable(fd)


def test_both_ways_at_once_over_tls(tls_pair: TlsPair) -> None:
    data = bytes(range(256)) * 8192  # 2 MiB: many records
    blocking = tls_pair.blocking

    def received() -> bytes:
        parts: list[bytes] = []
        while sum(map(len, parts)) < len(data):
            parts.append(blocking.recv(5000, None))
        return b"".join(parts)

    def reflected() -> bytes:
        got = b""
        while len(got) < len(data):
            piece = tls_pair.peer.recv(50_000)
            tls_pair.peer.sendall(piece)
            got += piece
        return got

    receiver, peer = Doing(received), Doing(reflected)
    assert blocking.send(data, None) == len(data)
    assert peer.done() == data
    assert receiver.done() == data


@pytest.mark.parametrize("way", ["finish", "close"])
def test_tls_ends_with_a_notice(tls_pair: TlsPair, way: str) -> None:
    tls_pair.blocking.send(b"last", None)
    getattr(tls_pair.blocking, way)()
    tls_pair.peer.suppress_ragged_eofs = False
    assert tls_pair.peer.recv(10) == b"last"
    assert tls_pair.peer.recv(10) == b""


def test_stop_wakes_over_tls(tls_pair: TlsPair) -> None:
    receiver = Doing(lambda: tls_pair.blocking.recv(1, None))
    tls_pair.blocking.stop()
    assert receiver.done() == b""
