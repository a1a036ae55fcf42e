"""The websockets library as the client: handshake, messages, fragments and compression, in random orders."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.wire.websocket_driver import Outcome, pump
from torana.wire.http1.connection import Http1Connection
from torana.wire.http1.limits import Limits as HttpLimits
from torana.wire.websocket.connection import PONG, WebSocketConnection
from torana.wire.websocket.handshake import answer, is_websocket, offered
from torana.wire.websocket.limits import Limits

pytest.importorskip("websockets")

from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

QUICK = settings(max_examples=80, deadline=None)
BITS = st.one_of(st.none(), st.integers(9, 15))
FACTORIES = st.builds(
    ClientPerMessageDeflateFactory,
    server_no_context_takeover=st.booleans(),
    client_no_context_takeover=st.booleans(),
    server_max_window_bits=BITS,
    client_max_window_bits=st.one_of(BITS, st.just(True)),
)
TEXTS = st.one_of(st.text(max_size=40), st.text(max_size=20).map(lambda text: text * 200))
BLOBS = st.one_of(st.binary(max_size=200), st.binary(min_size=1, max_size=50).map(lambda blob: blob * 500))
MESSAGES = st.lists(st.one_of(TEXTS, BLOBS), max_size=6)


def meet(factories: list[Any], is_crowded: bool = False) -> tuple[ClientProtocol, WebSocketConnection]:
    """Both sides after their handshake."""
    client = ClientProtocol(parse_uri("ws://t/chat"), extensions=factories, subprotocols=["a", "b"], max_size=None)
    client.send_request(client.connect())
    http = Http1Connection(HttpLimits())
    http.receive(b"".join(client.data_to_send()))
    head = http.next()
    assert is_websocket(head.upgrade)
    limits = Limits()
    fields, deflate = answer(offered(head), "b", limits, is_crowded)
    lines = [b"HTTP/1.1 101 Switching Protocols", b"upgrade: websocket", b"connection: Upgrade"]
    client.receive_data(b"\r\n".join([*lines, *(b"%s: %s" % field for field in fields), b"", b""]))
    client.events_received()
    assert client.handshake_exc is None
    assert client.state is State.OPEN
    assert client.subprotocol == "b"
    assert bool(client.extensions) is (deflate is not None)
    return client, WebSocketConnection(limits, deflate)


def say(client: ClientProtocol, message: str | bytes, edges: list[int]) -> None:
    """Send ``message`` in fragments."""
    data = message.encode() if isinstance(message, str) else message
    cuts = [0, *sorted({edge % (len(data) + 1) for edge in edges}), len(data)]
    for at, (start, stop) in enumerate(pairwise(cuts)):
        is_last = at == len(cuts) - 2
        if at == 0:
            (client.send_text if isinstance(message, str) else client.send_binary)(data[start:stop], fin=is_last)
        else:
            client.send_continuation(data[start:stop], fin=is_last)
        if not is_last:
            client.send_ping(b"between")


def heard(client: ClientProtocol) -> list[str | bytes]:
    """The messages that the client has."""
    frames = [event for event in client.events_received() if isinstance(event, Frame)]
    return [
        bytes(frame.data).decode() if frame.opcode is Opcode.TEXT else bytes(frame.data)
        for frame in frames
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY)
    ]


@QUICK
@given(
    st.lists(FACTORIES, max_size=2),
    st.booleans(),
    MESSAGES,
    MESSAGES,
    st.lists(st.integers(0, 10_000), max_size=4),
    st.integers(1, 70_000),
)
def test_each_hears_what_the_other_says(
    factories: list[Any],
    is_crowded: bool,
    theirs: list[str | bytes],
    ours: list[str | bytes],
    edges: list[int],
    step: int,
) -> None:
    client, connection = meet(factories, is_crowded)
    outcome = Outcome()
    for message in theirs:
        say(client, message, edges)
    sent = b"".join(client.data_to_send())
    for at in range(0, len(sent), step):
        connection.receive(sent[at : at + step], 1.0)
        pump(connection, outcome)
    assert outcome.closed is None
    assert [event for event in outcome.events if event is not PONG] == theirs
    client.receive_data(connection.take_output())
    for at, message in enumerate(ours):
        if at % 2:
            client.receive_data(b"".join(connection.parts(message)))
        else:
            client.receive_data(connection.text(message) if isinstance(message, str) else connection.binary(message))
    assert client.parser_exc is None
    assert heard(client) == ours


@QUICK
@given(st.booleans(), st.sampled_from([1000, 1001, 1011, 1014, 3000, 4999]), st.text(max_size=30))
def test_either_may_close(is_ours: bool, code: int, reason: str) -> None:
    client, connection = meet([])
    outcome = Outcome()
    if is_ours:
        client.receive_data(connection.close(code, reason))
    else:
        client.send_close(code, reason)
    connection.receive(b"".join(client.data_to_send()), 1.0)
    pump(connection, outcome)
    client.receive_data(connection.take_output())
    client.receive_eof()
    assert outcome.closed is not None
    assert outcome.closed[0] == code
    assert connection.is_closed()
    assert client.state is State.CLOSED
    assert client.close_code == code
    assert client.parser_exc is None


@QUICK
@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 255), st.booleans())
def test_no_bytes_raise(noise: bytes, at: int, flip: int, has_noise: bool) -> None:
    client, connection = meet([ClientPerMessageDeflateFactory()])
    say(client, "héllo " * 20, [3, 50])
    client.send_close(1000, "bye")
    sent = bytearray(b"".join(client.data_to_send()))
    sent[at % len(sent)] ^= flip
    data = noise if has_noise else bytes(sent)
    whole, single = Outcome(), Outcome()
    connection.receive(data, 1.0)
    pump(connection, whole)
    _, other = meet([ClientPerMessageDeflateFactory()])
    for offset in range(len(data)):
        other.receive(data[offset : offset + 1], 1.0)
        pump(other, single)
    assert single.events == whole.events
    assert (single.closed or (0,))[0] == (whole.closed or (0,))[0]
