"""Flask-Sock through the real command, by websocket-client and by plain sockets; with and without TLS."""

from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import signal
import socket
import struct
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.raw import Connection
from tests.support.server import Server, running

pytest.importorskip("flask_sock")
websocket = pytest.importorskip("websocket")

HERE = Path(__file__).parent
HANDSHAKE = (
    "Upgrade: websocket",
    "Connection: keep-alive, Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
)
#: The answer to that key (RFC 6455 section 1.3).
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
LARGE = bytes(range(256)) * 4096


@pytest.fixture(scope="module", params=["plain", "tls"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    flags = []
    if request.param == "tls":
        flags = request.getfixturevalue("loopback").flags()
    with running("flask_sock_site:app", "--threads", "12", *flags, app_dir=HERE) as server:
        yield server


@pytest.fixture
def token() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def tls(server: Server, request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue("loopback").context() if server.scheme == "https" else None


@pytest.fixture
def connect(server: Server, tls: Any) -> Iterator[Any]:
    """Open a WebSocket; it is closed at the test's end."""
    with contextlib.ExitStack() as stack:

        def opened(path: str, **more: Any) -> Any:
            url = server.origin.replace("http", "ws", 1) + path
            ws = websocket.create_connection(url, timeout=20, sslopt={"context": tls} if tls else None, **more)
            stack.callback(ws.shutdown)
            return ws

        yield opened


def masked(text: bytes, opcode: int = 1) -> bytes:
    """A short frame as a client sends it; the mask is zero."""
    return bytes([0x80 | opcode, 0x80 | len(text)]) + bytes(4) + text


def frame(connection: Connection) -> tuple[int, bytes]:
    """Opcode and payload of the next, short frame."""
    first, size = connection.read_exactly(2)
    return first & 15, connection.read_exactly(size)


def test_echo(connect: Any) -> None:
    ws = connect("/echo")
    for text in ("a", "ü" * 50, "x" * 70_000, ""):
        ws.send(text)
        assert ws.recv() == text
    ws.send_binary(LARGE)
    assert ws.recv() == LARGE
    ws.close()


def test_what_the_view_sees(connect: Any, server: Server) -> None:
    ws = connect("/seen?q=1%262", subprotocols=["echo"], cookie="name=Ada")
    scheme = "https" if server.scheme == "https" else "http"
    assert ws.recv().split()[1:] == ["echo", "1&2", "Ada"]
    assert ws.subprotocol == "echo"
    assert scheme in server.origin


def test_the_server_ends_first(connect: Any) -> None:
    """The view returns after its message: that arrives, then a close frame, then the end, and never a reset."""
    ws = connect("/seen")
    assert ws.recv()
    assert ws.recv_data(control_frame=True) == (websocket.ABNF.OPCODE_CLOSE, struct.pack("!H", 1000))
    with pytest.raises(websocket.WebSocketConnectionClosedException):
        ws.recv()


@pytest.mark.parametrize("path", ["/late", "/echo"])
@pytest.mark.parametrize("cut", [0, 1, 5])
def test_bytes_sent_with_the_handshake(server: Server, tls: Any, path: str, cut: int) -> None:
    """Frames in the same segment as the head, whole or cut: nothing of them is lost, or stays where nobody looks."""
    frames = masked(b"first")
    with Connection(server.address, tls=tls) as connection:
        head = "\r\n".join((f"GET {path} HTTP/1.1", "Host: a", *HANDSHAKE)).encode() + b"\r\n\r\n"
        connection.send(head + frames[: len(frames) - cut])
        answer = connection.read_head()
        assert (answer.status, answer.get("sec-websocket-accept")) == (101, ACCEPT)
        if cut:
            connection.send(frames[len(frames) - cut :])
        assert frame(connection) == (1, b"first!" if path == "/late" else b"first")
        reason = struct.pack("!H", 1000)
        if path == "/late":
            # Its view returns, so the library closes; were the client to close too, it might say nothing at all.
            assert frame(connection) == (8, reason)
            assert connection.is_ended()
        else:
            # The library's thread wakes the view before it answers, and the view's end is the connection's.
            connection.send(masked(reason, 8))
            assert connection.read_to_end() in (bytes([0x88, len(reason)]) + reason, b"")


def test_many_messages_in_one_segment(server: Server, tls: Any) -> None:
    """More than the library receives at once: with TLS they lie decrypted where no ``select`` sees them."""
    with Connection(server.address, tls=tls) as connection:
        connection.request("GET", "/echo", *HANDSHAKE)
        connection.read_head()
        connection.send(b"".join(masked(b"%04d" % number) for number in range(3000)))
        assert [frame(connection)[1] for _ in range(3000)] == [b"%04d" % number for number in range(3000)]


def test_slow_reader_gets_everything(connect: Any) -> None:
    ws = connect("/flood/200", sockopt=((socket.SOL_SOCKET, socket.SO_RCVBUF, 8192),))
    assert [ws.recv() for _ in range(200)] == [bytes([number]) * 100_000 for number in range(200)]


def test_many_at_once(connect: Any) -> None:
    def talk(number: int) -> None:
        ws = connect("/echo")
        for turn in range(50):
            ws.send(f"{number} {turn}")
            assert ws.recv() == f"{number} {turn}"
        ws.close()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(talk, range(24)))


@pytest.mark.parametrize("way", ["close", "reset"])
def test_client_that_dies(server: Server, tls: Any, token: str, way: str) -> None:
    with Connection(server.address, tls=tls) as connection:
        connection.request("GET", f"/watched/{token}", *HANDSHAKE)
        connection.read_head()
        server.wait_for_log(f"note: {token} open")
        getattr(connection, way)()
        server.wait_for_log(f"note: {token} closed")
    server.wait_for_log(f'"target":"/watched/{token}","version":"HTTP/1.1","status":101')


def test_view_that_fails(server: Server, tls: Any, token: str) -> None:
    with Connection(server.address, tls=tls) as connection:
        connection.request("GET", f"/fail/{token}", *HANDSHAKE)
        assert connection.read_head().status == 101
        server.wait_for_log(f"RuntimeError: failed {token}")
        # No HTTP error page may follow the handshake.
        assert connection.is_ended()


def test_bad_handshakes_are_answered(server: Server, tls: Any) -> None:
    """What the library refuses becomes Flask's error, and no socket is taken."""
    key = base64.b64encode(bytes(16)).decode()
    for fields in (
        ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"),
        ("Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 12"),
        ("Connection: Upgrade", f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"),
        ("Upgrade: websocket", f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"),
    ):
        with Connection(server.address, tls=tls) as connection:
            assert connection.ask("GET", "/echo", *fields).status in (400, 404, 426, 500)


def test_keys_are_only_in_handshakes(server: Server, tls: Any) -> None:
    with Connection(server.address, tls=tls) as connection:
        assert connection.ask("GET", "/keys").body.strip() == b"[]"
        assert connection.ask("GET", "/keys", "Upgrade: h2c", "Connection: Upgrade").body.strip() == b"[]"
        assert connection.ask("GET", "/keys", "Upgrade: websocket").body.strip() == b"[]"
        assert connection.ask("GET", "/hello").body == b"Hello, world!"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_stop_with_open_sockets(token: str, number: int) -> None:
    flags = ("--timeout-graceful", "0.5", "--threads", "4")
    with running("flask_sock_site:app", *flags, app_dir=HERE, expect_exit=None) as server:
        with contextlib.ExitStack() as stack:
            connections = [stack.enter_context(Connection(server.address)) for _ in range(3)]
            for count, connection in enumerate(connections):
                connection.request("GET", f"/watched/{token}{count}", *HANDSHAKE)
                assert connection.read_head().status == 101
            for count in range(3):
                server.wait_for_log(f"note: {token}{count} open")
            server.process.send_signal(number)
            for connection in connections:
                connection.read_to_end()
            assert server.process.wait(20) == 0
            server.wait_for_end()
        if number == signal.SIGTERM:
            # After QUIT nobody waits for what threads still do.
            for count in range(3):
                assert f"note: {token}{count} closed" in server.log
        assert "Traceback" not in server.log
