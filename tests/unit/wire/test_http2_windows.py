"""Flow control both ways: nothing is lost, nothing is given back twice (threats G-049, G-050; H2-09)."""

from __future__ import annotations

import random

import pytest

from tests.support.http2 import ACK, POST, WINDOW_UPDATE, Wire, data, headers, names, rst, settings, update
from torana.wire.http2.limits import Limits

OPEN_1 = headers(1, POST, is_end=False)


class Ledger:
    """A client that keeps its own account of what it may send, and holds it against the server's."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.connection = wire.limits.connection_window_bytes
        self.streams: dict[int, int] = {}

    def send(self, stream: int, size: int, is_end: bool, padding: int | None = None) -> list[object]:
        cost = size + (0 if padding is None else padding + 1)
        self.connection -= cost
        self.streams[stream] -= cost
        return self.wire.send(data(stream, bytes(size), is_end, padding))

    def open(self, stream: int) -> None:
        self.streams[stream] = self.wire.limits.stream_window_bytes
        self.wire.send(headers(stream, POST, is_end=False))

    def read(self) -> None:
        for item in self.wire.read():
            if item.kind == WINDOW_UPDATE:
                if item.stream:
                    self.streams[item.stream] += item.number
                else:
                    self.connection += item.number

    def check(self) -> None:
        """The sum of windows: what may come, what is held and what is saved up are the window, always."""
        window = self.wire.server.incoming
        assert window.left + window.taken + window.unannounced == window.size
        assert window.left == self.connection
        assert window.taken >= 0
        assert window.left <= window.size
        held = [stream.incoming.taken for stream in self.wire.streams.values() if stream.incoming is not None]
        assert self.wire.server.unread() == sum(held)
        for stream in self.wire.streams.values():
            if stream.incoming is not None:
                mine = stream.incoming
                assert mine.left == self.streams[stream.id]
                assert mine.left + mine.taken + mine.unannounced <= mine.size


def soak(seed: int, rounds: int) -> Ledger:
    """Uploads that end, stop, are read, are not read, are reset by either side, padded or not."""
    chance = random.Random(seed)
    wire = Wire(Limits(stream_window_bytes=70_000, connection_window_bytes=100_000, resets=10**6, streams=50))
    ledger = Ledger(wire)
    live: list[int] = []
    number = 1
    for _ in range(rounds):
        wire.now += 1.0
        act = chance.randrange(10)
        if act < 2 or not live:
            ledger.open(number)
            if number in wire.streams:
                live.append(number)
            number += 2
        else:
            stream = chance.choice(live)
            state = wire.streams[stream]
            if act < 6:
                most = min(16000, ledger.connection - 300, ledger.streams[stream] - 300)
                if most > 0:
                    is_end = chance.random() < 0.2
                    padding = chance.choice([None, None, 0, 5, 255])
                    for event in ledger.send(stream, chance.randrange(most) + 1, is_end, padding):
                        if chance.random() < 0.5 and hasattr(event, "size"):
                            wire.server.acknowledge(state, event.size)
                    if is_end and stream in live:
                        live.remove(stream)
                        wire.server.send_head(state, 200, [], 0, b"", True, b"", [])
                        wire.server.finished(state)
            elif act == 6:
                wire.server.acknowledge(state, 10**9)
            elif act == 7:
                live.remove(stream)
                wire.send(rst(stream))
                wire.server.acknowledge(state, 5000)
                wire.server.finished(state)
            elif act == 8:
                live.remove(stream)
                wire.server.reset(state, 8)
                most = min(3000, ledger.connection - 10, ledger.streams[stream] - 10)
                if most > 0:
                    ledger.send(stream, most, False)
                wire.server.finished(state)
            else:
                live.remove(stream)
                wire.server.send_head(state, 200, [], 2, b"ok", True, b"", [])
                wire.server.finished(state)
                if not wire.client.resets.get(stream):
                    most = min(3000, ledger.connection - 10, ledger.streams[stream] - 10)
                    if most > 0:
                        ledger.send(stream, most, True)
        assert wire.error is None
        ledger.read()
        ledger.check()
    for stream in live:
        wire.server.reset(wire.streams[stream], 8)
        wire.server.finished(wire.streams[stream])
    ledger.read()
    ledger.check()
    return ledger


@pytest.mark.parametrize("seed", range(10))
def test_the_sum_of_windows_never_changes(seed: int) -> None:
    ledger = soak(seed, 1000)
    assert ledger.wire.server.unread() == 0
    assert ledger.wire.server.running == 0
    # And a large upload still succeeds.
    wire = ledger.wire
    number = wire.server.last_id + 2
    ledger.open(number)
    sent = 0
    while sent < 2_000_000:
        size = min(16384, ledger.connection, ledger.streams[number])
        assert size > 0
        for event in ledger.send(number, size, False):
            wire.server.acknowledge(wire.streams[number], event.size)  # type: ignore[attr-defined]
        sent += size
        ledger.read()


def test_a_cut_frame_of_a_dead_stream_is_accounted_for() -> None:
    wire = Wire()
    raw = data(1, bytes(10_000))
    wire.send(OPEN_1, raw[:5000])
    assert wire.server.incoming.taken == 10_000
    wire.server.reset(wire.streams[1], 8)
    assert wire.server.incoming.taken == 0
    assert wire.send(raw[5000:]) == []
    assert names(wire.send(headers(3))) == ["Opened 3"]


def test_windows_are_given_back_by_halves() -> None:
    wire = Wire()
    wire.send(OPEN_1)
    for _ in range(8):
        (event,) = wire.send(data(1, bytes(16000)))
        wire.server.acknowledge(event.stream, event.size)
    assert wire.read() == []
    (event,) = wire.send(data(1, bytes(16000)))
    wire.server.acknowledge(event.stream, event.size)
    assert [(item.stream, item.number) for item in wire.read()] == [(1, 144_000)]


def test_no_window_for_a_stream_that_has_ended() -> None:
    wire = Wire()
    events = wire.send(OPEN_1, *[data(1, bytes(16000))] * 15, data(1, b"x", True))
    for event in events[1:-1]:
        wire.server.acknowledge(event.stream, event.size)
    assert [item.stream for item in wire.read()] == []


# What nobody reads


def test_what_is_left_of_a_small_request_is_dropped_in_peace() -> None:
    wire = Wire()
    wire.send(headers(1, [*POST, (b"content-length", b"30000")], is_end=False))
    wire.answer(1)
    wire.read()
    assert wire.client.resets == {}
    assert wire.server.is_idle()
    assert wire.send(data(1, bytes(15000)), data(1, bytes(15000), True)) == []
    assert wire.server.running == 0
    assert wire.server.incoming.taken == 0


@pytest.mark.parametrize("length", [[(b"content-length", b"1000000")], []])
def test_what_is_left_of_a_large_request_is_cut_off(length: list[tuple[bytes, bytes]]) -> None:
    wire = Wire()
    wire.send(headers(1, POST + length, is_end=False))
    wire.answer(1)
    if not length:
        wire.send(*[data(1, bytes(16384))] * 16)
    wire.read()
    assert wire.client.resets == {1: 0}
    assert wire.client.ended == {1}
    assert wire.server.running == 0
    assert wire.send(data(1, b"x")) == []
    assert wire.error is None


def test_an_answer_before_the_end_of_the_request_leaves_it_readable() -> None:
    wire = Wire()
    wire.send(OPEN_1)
    wire.server.send_head(wire.streams[1], 200, [], 2, b"ok", True, b"", [])
    assert names(wire.send(data(1, b"abc"), data(1, b"", True))) == ["Body 1", "Ended 1"]
    wire.server.finished(wire.streams[1])
    assert wire.server.running == 0


# What we send


def served(wire: Wire, number: int, body: bytes) -> None:
    wire.send(headers(number))
    wire.answer(number, body)


def test_no_byte_beyond_the_windows() -> None:
    wire = Wire()
    served(wire, 1, bytes(100_000))
    wire.read()
    assert len(wire.client.bodies[1]) == 65535
    wire.send(update(1, 100_000))
    assert not wire.server.has_output()
    wire.send(update(0, 10_000))
    assert wire.server.has_output()
    wire.read()
    assert len(wire.client.bodies[1]) == 75_535
    wire.send(update(0, 100_000))
    wire.read()
    assert len(wire.client.bodies[1]) == 100_000
    assert 1 in wire.client.ended


def test_an_empty_body_needs_no_window() -> None:
    wire = Wire()
    served(wire, 1, bytes(65535))
    wire.read()
    served(wire, 3, b"")
    wire.send(headers(5))
    wire.server.send_head(wire.streams[5], 200, [], -1, b"", False, b"", [])
    wire.server.send_trailers(wire.streams[5], [(b"grpc-status", b"0")])
    wire.read()
    assert wire.client.ended == {1, 3, 5}


def test_a_window_of_ten_bytes_is_kept_and_may_become_negative() -> None:
    """H2-09."""
    wire = Wire()
    wire.send(settings((4, 10)))
    wire.read()
    served(wire, 1, bytes(range(50)))
    wire.read()
    assert wire.client.bodies[1] == bytes(range(10))
    wire.send(settings((4, 0)))  # now minus ten
    wire.send(update(1, 10))
    wire.read()
    assert len(wire.client.bodies[1]) == 10
    wire.send(update(1, 5))
    wire.read()
    assert len(wire.client.bodies[1]) == 15
    wire.send(settings((4, 100)))
    wire.read()
    assert wire.client.bodies[1] == bytes(range(50))


def test_a_window_opened_byte_by_byte_gets_few_frames() -> None:
    """G-049: a hundred crumbs at once, then one each tenth of a second; nothing is lost by it."""
    wire = Wire()
    wire.send(settings((4, 0)))
    served(wire, 1, bytes(400))
    wire.read()
    wire.client.frames.clear()
    for _ in range(300):
        wire.send(update(1, 1))
        wire.read()
    crumbs = [item for item in wire.client.frames if item.kind == 0]
    assert [len(item.payload) for item in crumbs] == [1] * 100
    assert wire.server.retry_at > wire.now
    assert not wire.server.has_output()
    wire.now = wire.server.retry_at
    wire.server.tick(wire.now)
    assert wire.server.has_output()
    wire.read()
    assert len(wire.client.bodies[1]) == 300
    wire.send(update(1, 1000))
    wire.read()
    assert len(wire.client.bodies[1]) == 400


def test_a_connection_opened_byte_by_byte_holds_all_back() -> None:
    wire = Wire()
    served(wire, 1, bytes(66_000))
    wire.read()
    for _ in range(300):
        wire.send(update(0, 1))
        wire.send(update(1, 1))
        wire.read()
    held = len(wire.client.bodies[1])
    assert held < 65535 + 150
    wire.now += 1
    wire.send(update(0, 1000), update(1, 1000))
    wire.read()
    assert len(wire.client.bodies[1]) == 66_000


def test_streams_together_have_enough_before_each_of_them_has() -> None:
    """G-049: a hundred answers behind closed windows hold little more than a few."""
    wire = Wire()
    wire.send(settings((4, 0)), b"".join(headers(number) for number in range(1, 201, 2)))
    held = 0
    for number in range(1, 201, 2):
        stream = wire.streams[number]
        wire.server.send_head(stream, 200, [], -1, b"", False, b"", [])
        while not stream.is_full:
            wire.server.send_data(stream, bytes(16_384), False)
            held += 16_384
    assert held < 3 * 1024 * 1024
    # Each goes on when its window is opened.
    for number in range(1, 201, 2):
        wire.send(update(number, 65_535))
    wire.send(update(0, 2**30))
    wire.read()
    assert {f"Drained {number}" for number in range(1, 201, 2)} <= set(names(wire.take()))


def test_a_full_queue_says_so_and_says_when_it_is_not() -> None:
    wire = Wire()
    wire.send(headers(1), settings(flags=ACK))
    stream = wire.streams[1]
    wire.server.send_head(stream, 200, [], -1, bytes(100_000), False, b"", [])
    assert stream.is_full
    wire.server.output(16384)
    assert wire.take() == []
    wire.server.output(65536)
    assert not stream.is_full or stream.waiting >= 32 * 1024
    wire.send(update(0, 10**6), update(1, 10**6))
    wire.server.output(1 << 20)
    assert wire.server.has_events
    assert names(wire.take()) == ["Drained 1"]
    assert (stream.waiting, stream.is_full) == (0, False)
