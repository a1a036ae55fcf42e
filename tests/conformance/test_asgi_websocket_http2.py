"""WebSocket over HTTP/2 (RFC 8441) by the h2 library: what an application sees and says is the same (WS-03, WS-04)."""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from tests.conformance.test_asgi_websocket import (
    ACCEPTED,
    DISCONNECT,
    START,
    body,
    denial,
    noted,
    pairs,
    target,
)
from tests.support.server import Server, running
from tests.support.websocket_raw import BINARY, CLOSE, TEXT, Frame, close_frame, frame

pytest.importorskip("websockets")
h2_connection = pytest.importorskip("h2.connection")
h2_events = pytest.importorskip("h2.events")
h2_settings = pytest.importorskip("h2.settings")

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def probe() -> Iterator[Server]:
    flags = ["--ws-ping-interval", "0", "--timeout-ws-close", "1"]
    with running("websocket_probe:app", *flags, app_dir=HERE) as server:
        yield server


@pytest.fixture
def token() -> str:
    return uuid.uuid4().hex


class Peer:
    """One connection by prior knowledge; streams of it can be WebSockets."""

    def __init__(self, server: Server) -> None:
        self.sock = socket.create_connection(server.address, 20)
        self.h2 = h2_connection.H2Connection()
        self.h2.initiate_connection()
        self.heads: dict[int, list[tuple[bytes, bytes]]] = {}
        self.data: dict[int, bytearray] = {}
        #: How a stream ended: "end", or the code of its reset.
        self.ends: dict[int, Any] = {}
        self._settings = False
        self._flush()
        while not self._settings:
            self._receive()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.sock.close()

    def open(self, path: str, *fields: tuple[str, str], scheme: str = "http") -> int:
        """Ask for a WebSocket; the stream's number."""
        assert self.h2.remote_settings[h2_settings.SettingCodes.ENABLE_CONNECT_PROTOCOL] == 1
        stream = int(self.h2.get_next_available_stream_id())
        head = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", scheme), (":path", path)]
        head += [(":authority", "test.example"), ("sec-websocket-version", "13"), *fields]
        self.h2.send_headers(stream, head)
        self.data[stream] = bytearray()
        self._flush()
        return stream

    def head(self, stream: int) -> dict[bytes, bytes]:
        """The fields of the answer."""
        while stream not in self.heads:
            self._receive()
        return dict(self.heads[stream])

    def send(self, stream: int, data: bytes, end: bool = False) -> None:
        """Bytes of the stream."""
        self.h2.send_data(stream, data, end_stream=end)
        self._flush()

    def reset(self, stream: int) -> None:
        """CANCEL."""
        self.h2.reset_stream(stream, 8)
        self._flush()

    def read_frame(self, stream: int) -> Frame:
        """The next short frame."""
        size = self._exactly(stream, 2)[1]
        if size == 126:
            size = int.from_bytes(self._exactly(stream, 4)[2:], "big")
            return Frame(self._take(stream, 4)[0] & 15, self._exactly(stream, size, take=True))
        return Frame(self._take(stream, 2)[0] & 15, self._exactly(stream, size, take=True))

    def end(self, stream: int) -> Any:
        """How the stream ends."""
        while stream not in self.ends:
            self._receive()
        return self.ends[stream]

    def _exactly(self, stream: int, count: int, take: bool = False) -> bytes:
        while len(self.data[stream]) < count:
            assert stream not in self.ends, self.ends
            self._receive()
        return self._take(stream, count) if take else bytes(self.data[stream][:count])

    def _take(self, stream: int, count: int) -> bytes:
        taken = bytes(self.data[stream][:count])
        del self.data[stream][:count]
        return taken

    def _flush(self) -> None:
        self.sock.sendall(self.h2.data_to_send())

    def _receive(self) -> None:
        data = self.sock.recv(65536)
        assert data, "the connection ended"
        for event in self.h2.receive_data(data):
            if isinstance(event, h2_events.RemoteSettingsChanged):
                self._settings = True
            elif isinstance(event, h2_events.ResponseReceived):
                self.heads[event.stream_id] = [(bytes(name), bytes(value)) for name, value in event.headers]
            elif isinstance(event, h2_events.DataReceived):
                self.data[event.stream_id] += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2_events.StreamEnded):
                self.ends.setdefault(event.stream_id, "end")
            elif isinstance(event, h2_events.StreamReset):
                self.ends[event.stream_id] = event.error_code
        self._flush()


@pytest.fixture
def peer(probe: Server) -> Iterator[Peer]:
    with Peer(probe) as peer:
        yield peer


def test_ws_03_04_scope(peer: Peer, probe: Server) -> None:
    path = target("scope", *START, "report", "echo")
    stream = peer.open(path, ("sec-websocket-protocol", "chat, talk"), ("x-a", "1"))
    assert peer.head(stream)[b":status"] == b"200"
    scope = json.loads(peer.read_frame(stream).payload)[0]
    assert (scope["http_version"], scope["scheme"], scope["type"]) == ("2", "ws", "websocket")
    assert scope["subprotocols"] == ["chat", "talk"]
    assert (scope["path"], scope["query_string"]["bytes"]) == ("/x", path.partition("?")[2])
    assert scope["server"] == ["127.0.0.1", probe.port]
    assert scope["extensions"] == {"websocket.http.response": {}}
    names = [name["bytes"] for name, _ in scope["headers"]]
    assert names[0] == "host" and "x-a" in names
    assert not [name for name in names if name.startswith(":")]


def test_messages_both_ways(peer: Peer) -> None:
    accept = {**ACCEPTED, "subprotocol": "chat", "headers": pairs(("x-b", "2"))}
    stream = peer.open(target("receive", accept, "echo"), ("sec-websocket-protocol", "chat"))
    head = peer.head(stream)
    assert (head[b"sec-websocket-protocol"], head[b"x-b"]) == (b"chat", b"2")
    assert not head.keys() & {b"sec-websocket-accept", b"upgrade", b"connection", b"content-length"}
    peer.send(stream, frame(TEXT, b"a") + frame(BINARY, b"b" * 10_000))
    assert peer.read_frame(stream) == Frame(TEXT, b"a")
    assert peer.read_frame(stream) == Frame(BINARY, b"b" * 10_000)
    peer.send(stream, close_frame())
    assert peer.read_frame(stream).opcode == CLOSE
    assert peer.end(stream) == "end"


def test_many_on_one_connection(peer: Peer) -> None:
    streams = [peer.open(target(*START, "echo")) for _ in range(20)]
    for number, stream in enumerate(streams):
        assert peer.head(stream)[b":status"] == b"200"
        peer.send(stream, frame(TEXT, str(number).encode()))
    for number, stream in reversed(list(enumerate(streams))):
        assert peer.read_frame(stream).payload == str(number).encode()


@pytest.mark.parametrize(
    ("way", "code"), [("close", 4000), ("empty", 1005), ("reset", 1006), ("end", 1006), ("connection", 1006)]
)
def test_ws_30_31_end(peer: Peer, probe: Server, token: str, way: str, code: int) -> None:
    stream = peer.open(target(*START, "receive", "receive", "note", token=token))
    assert peer.head(stream)[b":status"] == b"200"
    if way == "close":
        peer.send(stream, close_frame(4000, "ré"))
    elif way == "empty":
        peer.send(stream, frame(CLOSE))
    elif way == "reset":
        peer.reset(stream)
    elif way == "end":
        peer.send(stream, b"", end=True)
    else:
        peer.sock.close()
    reason = "ré" if way == "close" else ""
    assert noted(probe, token)[-2:] == [{**DISCONNECT, "code": code, "reason": reason}] * 2


def test_ws_40_end_of_the_application(peer: Peer) -> None:
    for step, code in (("return", 1000), ("raise", 1011)):
        stream = peer.open(target(*START, step))
        assert peer.read_frame(stream).code == code
        peer.send(stream, close_frame(code))
        assert peer.end(stream) == "end"


def test_ws_17_19_refusal(peer: Peer) -> None:
    for step, status in (({"type": "websocket.close"}, b"403"), ("raise", b"500"), ("return", b"500")):
        stream = peer.open(target("receive", step))
        assert peer.head(stream)[b":status"] == status


def test_ext_denial_07_response_of_the_application(peer: Peer, probe: Server, token: str) -> None:
    steps = ["receive", denial(401, ("x-why", "because")), body("not ", True), body("you"), "receive", "note"]
    stream = peer.open(target(*steps, token=token))
    head = peer.head(stream)
    assert (head[b":status"], head[b"x-why"]) == (b"401", b"because")
    peer.end(stream)
    assert bytes(peer.data[stream]) == b"not you"
    assert noted(probe, token)[-1] == {**DISCONNECT, "code": 1006, "reason": ""}
