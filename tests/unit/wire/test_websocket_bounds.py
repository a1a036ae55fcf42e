"""What a client may cost: room, work and answers (threats G-060 to G-063)."""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import Callable, Iterable

import pytest

from tests.unit.wire.corpus.websocket_frames import Compressor, packed
from tests.unit.wire.test_websocket_handshake import AGREEMENTS
from tests.unit.wire.websocket_driver import (
    BINARY,
    COMPRESSED,
    CONTINUATION,
    KEY,
    LIMITS,
    PING,
    PONG_FRAME,
    TEXT,
    drive,
    frame,
    length,
    masked,
    server_frames,
)
from torana.wire.events import NEED_DATA
from torana.wire.websocket.connection import BUSY, WebSocketConnection
from torana.wire.websocket.deflate import Deflater, Inflater
from torana.wire.websocket.extensions import Deflate
from torana.wire.websocket.limits import Limits
from torana.wire.websocket.message import Message

MIB = 1024 * 1024


def peak(act: Callable[[], object]) -> int:
    """Most bytes that ``act`` had at once, besides what was there before."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        act()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


# G-060
def test_an_announced_frame_costs_nothing() -> None:
    head = b"\x82" + length(LIMITS.message_bytes) + KEY + b"x" * 10

    def many() -> None:
        for _ in range(20):
            connection = WebSocketConnection(LIMITS, None)
            connection.receive(head, 1.0)
            assert connection.next() is NEED_DATA
            assert connection.held() <= 20

    assert peak(many) < 8 * 1024


# G-060
@pytest.mark.parametrize("opcode", [BINARY, TEXT])
@pytest.mark.parametrize("step", [1, 7, 1461])
def test_a_dribbled_frame_costs_what_has_come(opcode: int, step: int) -> None:
    size = 40_000 if step == 1 else 400_000
    data = frame(opcode, b"0123456789" * (size // 10))
    connection = WebSocketConnection(LIMITS, None)
    for at in range(0, len(data), step):
        assert connection.held() <= 2 * at
        connection.receive(data[at : at + step], 1.0)
        event = connection.next()
    assert len(event) == size
    assert connection.held() == 0


# G-060: bytes held to bytes sent
def test_a_large_message_costs_about_its_size() -> None:
    pad = masked(b"\0" * 65536)
    head = b"\x82" + length(8 * MIB) + KEY
    connection = WebSocketConnection(LIMITS, None)

    def read() -> None:
        connection.receive(head, 1.0)
        for _ in range(8 * MIB // 65536):
            assert connection.next() is NEED_DATA
            connection.receive(pad, 1.0)
        assert connection.next() == bytes(8 * MIB)

    assert peak(read) <= 3.2 * 8 * MIB  # with the copy that it is compared with


def fragments(count: int, payload: bytes) -> Iterable[bytes]:
    yield frame(BINARY, payload, fin=False)
    piece = frame(CONTINUATION, payload, fin=False) * 64
    yield from [piece] * ((count - 1) // 64)
    yield from [frame(CONTINUATION, payload, fin=False)] * ((count - 1) % 64)


# G-061
@pytest.mark.parametrize(
    ("limit", "count", "is_too_many"),
    [(1000_000, 3906, False), (1000_000, 3907, True), (10_000, 1024, False), (10_000, 1025, True)],
)
def test_fragments_are_counted(limit: int, count: int, is_too_many: bool) -> None:
    outcome = drive(fragments(count, b"x"), Limits(message_bytes=limit))
    assert (outcome.closed is not None) is is_too_many
    if outcome.closed is not None:
        assert outcome.closed[:3] == (1008, "many-fragments", True)


# G-061
def test_empty_fragments_are_counted() -> None:
    assert drive(fragments(100, b"")).closed is None
    outcome = drive(fragments(10_000, b""))
    assert outcome.closed is not None
    assert outcome.closed[:3] == (1008, "empty-fragments", True)
    again = [frame(TEXT, fin=False), *[frame(CONTINUATION, fin=False)] * 99, frame(CONTINUATION, b"x")]
    assert drive(again * 10).events == ["x"] * 10


def zeros(size: int) -> bytes:
    """So many zeros, compressed."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = bytes(MIB)
    return b"".join(stream.compress(piece) for _ in range(size // MIB)) + stream.flush(zlib.Z_SYNC_FLUSH)[:-4]


# G-062, WSP-11
@pytest.mark.parametrize("cut", [1 << 30, 65536, 100])
def test_a_bomb_is_stopped_at_the_limit(cut: int) -> None:
    limit = 2 * MIB
    data = frame(BINARY, zeros(64 * MIB), bits=COMPRESSED)
    assert len(data) < 70_000
    pieces = [data[at : at + cut] for at in range(0, len(data), cut)]
    outcomes = []
    most = peak(lambda: outcomes.append(drive(pieces, Limits(message_bytes=limit), Deflate())))
    assert outcomes[0].closed == (1009, "large-message", True, "ws_max_size")
    assert most <= limit + MIB


# G-062
@pytest.mark.parametrize("cut", [1 << 30, 1000])
def test_what_unfolds_does_so_in_turns(cut: int) -> None:
    data = frame(BINARY, zeros(8 * MIB), bits=COMPRESSED) + frame(TEXT, b"next")
    connection = WebSocketConnection(Limits(), Deflate())
    events = []
    for at in range(0, len(data), cut):
        connection.receive(data[at : at + cut], 1.0)
        while (event := connection.next()) is not NEED_DATA:
            events.append(event)
            # What is inflated without a break is less than 1 MiB.
            assert event is not BUSY or connection.held() < len(events) * 2 * MIB
    assert events.count(BUSY) >= 8
    assert [event for event in events if event is not BUSY] == [bytes(8 * MIB), "next"]


# G-062
def test_a_small_bomb_under_a_small_limit() -> None:
    data = packed(bytes(4096))
    assert len(data) <= 22
    outcome = drive([frame(BINARY, data, bits=COMPRESSED)], Limits(message_bytes=128), Deflate())
    assert outcome.closed == (1009, "large-message", True, "ws_max_size")


# G-062
def test_no_more_is_produced_than_the_limit_and_one() -> None:
    for size in (4096, 1_000_000):
        message = Message(False, 1000)
        assert not Inflater(Deflate()).inflate(packed(bytes(size)), True, message, 999)
        assert message.size == 1000
        assert message.capacity == 1000
    message = Message(False, 1001)
    assert Inflater(Deflate()).inflate(packed(bytes(1000)), True, message, 1000)
    assert message.taken() == bytes(1000)


# G-062
@pytest.mark.parametrize("agreed", [deflate for *_, deflate in AGREEMENTS], ids=str)
def test_compression_keeps_less_than_64_kib(agreed: Deflate) -> None:
    compress = Compressor(agreed.their_bits, agreed.has_their_takeover)
    payload = bytes(range(256)) * 300
    data = frame(BINARY, compress(payload), bits=COMPRESSED)
    connection = WebSocketConnection(LIMITS, agreed)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        connection.receive(data, 1.0)
        assert connection.next() == payload
        assert connection.next() is NEED_DATA
        connection.parts(payload)
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert kept < 64 * 1024
    if not agreed.has_our_takeover and not agreed.has_their_takeover:
        assert kept < 1024


def test_compression_is_not_made_before_it_is_needed() -> None:
    def idle() -> None:
        for _ in range(50):
            connection = WebSocketConnection(LIMITS, Deflate())
            drive([frame(TEXT, b"hello")], connection=connection)
            connection.text("hello")

    assert peak(idle) < 8 * 1024
    assert Deflater(Deflate()).deflate(b"x" * 100) is None


# G-063
def test_only_the_last_ping_is_answered() -> None:
    outcome = drive([b"".join(frame(PING, b"%d" % number) for number in range(500))])
    assert outcome.closed is None
    assert server_frames(outcome.output) == [(0x8A, b"499")]


# G-063
@pytest.mark.parametrize("opcode", [PING, PONG_FRAME])
def test_a_flood_of_control_frames_ends_it(opcode: int) -> None:
    outcome = drive([frame(opcode, b"x" * 125) * 100] * 100)
    assert outcome.closed == (1008, "many-control-frames", True, "")
    assert len(outcome.events) <= 1000
    assert len(outcome.output) < 300


# G-063
def test_an_ordinary_client_never_meets_the_bound() -> None:
    connection = WebSocketConnection(LIMITS, None)
    pings = frame(PING, b"beat") + frame(PONG_FRAME)
    for second in range(2000):
        assert drive([pings * 10], connection=connection, now=float(second)).closed is None
    # Ten minutes in which nothing was read, and all of it at once.
    assert drive([frame(PING) * 600], connection=connection, now=3000.0).closed is None
