"""Conversations with the h2 library as the client: what we say it takes, what it says we take, byte for byte."""

from __future__ import annotations

import random
from typing import Any

import pytest

from torana.wire.events import NEED_DATA
from torana.wire.http2.connection import Http2Connection
from torana.wire.http2.events import Body, Ended, Opened, Reset
from torana.wire.http2.limits import Limits

h2_config = pytest.importorskip("h2.config")
h2_connection = pytest.importorskip("h2.connection")
h2_events = pytest.importorskip("h2.events")
h2_settings = pytest.importorskip("h2.settings")

FIELDS = [(":method", "POST"), (":scheme", "https"), (":path", "/upload?a=b"), (":authority", "t"), ("x-a", "b" * 200)]


class Pair:
    """An h2 client and our wire, joined by pipes that cut where they like."""

    def __init__(self, seed: int, limits: Limits | None = None) -> None:
        self.chance = random.Random(seed)
        self.client = h2_connection.H2Connection(h2_config.H2Configuration(header_encoding=None))
        self.server = Http2Connection(limits or Limits(), 65536, 16384, 128, 8192, True)
        self.server.begin()
        self.client.initiate_connection()
        self.now = 0.0
        #: What arrived: at the server by stream, at the client by stream.
        self.streams: dict[int, Any] = {}
        self.received: dict[int, bytearray] = {}
        self.trailers: dict[int, Any] = {}
        self.resets: list[int] = []
        self.answers: dict[int, bytearray] = {}
        self.heads: dict[int, list[tuple[bytes, bytes]]] = {}
        self.tails: dict[int, list[tuple[bytes, bytes]]] = {}
        self.done: set[int] = set()

    def turn(self, is_acknowledging: bool = True) -> bool:
        """Let both sides say what they have to say; whether anything was said."""
        self.now += 0.01
        raw = self.client.data_to_send()
        is_busy = bool(raw)
        while raw:
            size = self.chance.choice([1, 9, 100, 5000, 70_000])
            self.server.receive(raw[:size], self.now)
            raw = raw[size:]
            self._take_events(is_acknowledging)
        while out := self.server.output(self.chance.choice([1, 5000, 70_000])):
            is_busy = True
            while out:
                size = self.chance.choice([1, 9, 1000, 70_000])
                self._answered(out[:size], is_acknowledging)
                out = out[size:]
        self._take_events(is_acknowledging)
        return is_busy

    def settle(self) -> None:
        while self.turn():
            pass

    def _take_events(self, is_acknowledging: bool) -> None:
        while (event := self.server.next()) is not NEED_DATA:
            if isinstance(event, Opened):
                self.streams[event.stream.id] = event
                self.received[event.stream.id] = bytearray()
            elif isinstance(event, Body):
                self.received[event.stream.id] += event.data
                if is_acknowledging:
                    self.server.acknowledge(event.stream, event.size)
            elif isinstance(event, Ended):
                self.trailers[event.stream.id] = event.trailers
            elif isinstance(event, Reset):
                self.resets.append(event.stream.id)

    def _answered(self, raw: bytes, is_acknowledging: bool) -> None:
        for event in self.client.receive_data(raw):
            stream = getattr(event, "stream_id", 0)
            if isinstance(event, h2_events.ResponseReceived):
                self.heads[stream] = event.headers
            elif isinstance(event, h2_events.DataReceived):
                self.answers.setdefault(stream, bytearray()).extend(event.data)
                if is_acknowledging and event.flow_controlled_length:
                    self.client.acknowledge_received_data(event.flow_controlled_length, stream)
            elif isinstance(event, h2_events.TrailersReceived):
                self.tails[stream] = event.headers
            elif isinstance(event, h2_events.StreamEnded):
                self.done.add(stream)


def upload(pair: Pair, stream: int, body: bytes, trailers: list[tuple[str, str]] | None = None) -> None:
    """Send a body as the server's windows allow, padded at times."""
    at = 0
    while at < len(body):
        padding = pair.chance.choice([None, None, 0, 100])
        room = pair.client.local_flow_control_window(stream) - (0 if padding is None else padding + 1)
        size = min(room, pair.client.max_outbound_frame_size - 200, len(body) - at)
        if size <= 0:
            assert pair.turn(), "stalled"
            continue
        pair.client.send_data(stream, body[at : at + size], pad_length=padding)
        at += size
        if pair.chance.random() < 0.3:
            pair.turn()
    if trailers:
        pair.client.send_headers(stream, trailers, end_stream=True)
    else:
        pair.client.end_stream(stream)
    pair.settle()


@pytest.mark.parametrize("seed", range(5))
def test_bodies_both_ways_arrive_whole(seed: int) -> None:
    pair = Pair(seed)
    pair.settle()
    assert pair.server.is_settled
    up = pair.chance.randbytes(1_500_000)
    down = pair.chance.randbytes(1_200_000)
    pair.client.send_headers(1, FIELDS)
    upload(pair, 1, up, [("x-sum", "42")])
    head = pair.streams[1].head
    assert head.fields == [(b"host", b"t"), (b"x-a", b"b" * 200)]
    assert pair.received[1] == up
    assert pair.trailers[1] == [(b"x-sum", b"42")]
    stream = pair.streams[1].stream
    pair.server.send_head(stream, 200, [(b"Content-Type", b"a/b")], -1, down[:10], False, b"now", [(b"server", b"us")])
    at = 10
    while at < len(down):
        if stream.is_full:
            assert pair.turn(), "stalled"
            continue
        size = pair.chance.choice([1, 1000, 20_000, 100_000])
        pair.server.send_data(stream, down[at : at + size], False)
        at += size
    pair.server.send_trailers(stream, [(b"X-End", b"1")])
    pair.server.finished(stream)
    pair.settle()
    assert pair.answers[1] == down
    assert pair.tails[1] == [(b"x-end", b"1")]
    assert pair.done == {1}
    assert pair.heads[1] == [(b":status", b"200"), (b"content-type", b"a/b"), (b"date", b"now"), (b"server", b"us")]
    assert pair.server.is_idle()
    window = pair.server.incoming
    assert (window.taken, window.left + window.unannounced) == (0, window.size)


@pytest.mark.parametrize("seed", range(5))
def test_many_streams_at_once_with_changing_settings(seed: int) -> None:
    pair = Pair(seed)
    pair.settle()
    bodies: dict[int, bytes] = {}
    for i in range(60):
        number = 2 * i + 1
        pair.client.send_headers(number, FIELDS[:4], end_stream=True)
        if i % 7 == 0:
            pair.client.update_settings({
                h2_settings.SettingCodes.INITIAL_WINDOW_SIZE: pair.chance.choice([0, 10, 1000, 65535, 200_000]),
                h2_settings.SettingCodes.HEADER_TABLE_SIZE: pair.chance.choice([0, 100, 4096, 10_000]),
            })  # fmt: skip
        pair.turn()
        stream = pair.streams[number].stream
        body = bodies[number] = pair.chance.randbytes(pair.chance.choice([0, 5, 3000, 40_000]))
        fields = [(b"x-%d" % (i % 5), b"%d" % pair.chance.randrange(9)), (b"set-cookie", b"secret")]
        pair.server.send_head(stream, 200, fields, len(body), body, True, b"", [])
        pair.server.finished(stream)
        if i % 11 == 0 and body:
            pair.turn()
            if number not in pair.done:
                pair.client.reset_stream(number)
                del bodies[number]
    pair.client.update_settings({h2_settings.SettingCodes.INITIAL_WINDOW_SIZE: 1 << 20})
    pair.now += 60
    pair.server.tick(pair.now)
    pair.settle()
    assert pair.done >= set(bodies)
    assert {number: bytes(pair.answers.get(number, b"")) for number in bodies} == bodies
    assert pair.server.running == 0
    assert pair.server.is_idle()


def test_the_library_agrees_about_pings_settings_and_the_end() -> None:
    pair = Pair(0)
    pair.settle()
    pair.client.ping(b"12345678")
    pair.client.send_headers(1, FIELDS[:4], end_stream=True)
    pair.settle()
    pair.server.send_informational(pair.streams[1].stream, 103, [(b"link", b"</a>")])
    pair.server.send_head(pair.streams[1].stream, 204, [], -2, b"", True, b"", [])
    pair.server.finished(pair.streams[1].stream)
    pair.server.shut_down()
    pair.server.go_away()
    pair.settle()
    assert pair.done == {1}
    assert pair.client.state_machine.state == h2_connection.ConnectionState.CLOSED


@pytest.mark.parametrize("seed", range(3))
def test_uploads_that_are_reset_leave_the_windows_whole(seed: int) -> None:
    pair = Pair(seed, Limits(resets=10_000))
    pair.settle()
    for i in range(150):
        number = 2 * i + 1
        pair.client.send_headers(number, FIELDS)
        body = bytes(pair.chance.randrange(1, 30_000))
        at = 0
        while at < len(body):
            size = min(pair.client.local_flow_control_window(number), 16_000, len(body) - at)
            assert size > 0
            pair.client.send_data(number, body[at : at + size])
            at += size
        is_theirs = pair.chance.random() < 0.5
        if is_theirs:
            pair.client.reset_stream(number)
        pair.turn(is_acknowledging=pair.chance.random() < 0.5)
        stream = pair.streams[number].stream
        pair.server.reset(stream, 8)
        pair.server.finished(stream)
        pair.turn()
    pair.settle()
    assert pair.server.incoming.taken == 0
    assert pair.server.running == 0
    body = pair.chance.randbytes(3_000_000)
    pair.client.send_headers(301, FIELDS)
    upload(pair, 301, body)
    assert pair.received[301] == body
