"""WebSockets that cost more than they bring, in small: huge, in fragments, unfolding, pinging (G-060 to G-063).

The same with thousands of clients: ``tests/attacks``. What takes time (pings of ours, closes that nobody answers):
``tests/flow/test_websocket_time``.
"""

from __future__ import annotations

import contextlib
import functools
import zlib

import pytest

from tests.support.websocket_raw import PONG, TEXT, Frame
from tests.threats.stage import SLACK, Stage
from tests.threats.websocket_wire import CANARY, CANARY_BYTES, DEFLATE, VALID, Socket, code_of, until_closed
from tests.unit.wire.corpus.websocket_frames import packed
from tests.unit.wire.websocket_driver import (
    BINARY,
    COMPRESSED,
    CONTINUATION,
    KEY,
    PING,
    PONG_FRAME,
    close,
    frame,
    length,
)

MIB = 1024 * 1024


@functools.cache
def zeros(size: int) -> bytes:
    """So many zeros, compressed."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = bytes(MIB)
    return b"".join(stream.compress(piece) for _ in range(size // MIB)) + stream.flush(zlib.Z_SYNC_FLUSH)[:-4]


@pytest.mark.threat(
    "G-060",
    sent="16 MiB announced, 1,000 bytes sent, by 100 clients",
    verdict="what has come is held, not what was announced",
)
def test_an_announcement_costs_nothing(streams_stage: Stage) -> None:
    stage = streams_stage
    with stage.attacked(), contextlib.ExitStack() as stack:
        before = stage.vitals().resident_bytes
        head = b"\x82" + length(16 * MIB) + KEY + bytes(1000)
        for _ in range(100):
            stack.enter_context(Socket(stage, then=head)).open()
        stage.fence()
        assert stage.vitals().resident_bytes - before < 8 * MIB


@pytest.mark.threat(
    "G-060",
    sent="a frame of 15.9 MiB in pieces of 1,461 bytes, the last of them in single ones",
    verdict="held with at most twice its size, and handed over whole",
)
def test_a_dribbled_frame(streams_stage: Stage) -> None:
    stage = streams_stage
    size = 16_600_000
    with stage.attacked(growth_bytes=2 * size), Socket(stage, path=b"/silent") as socket:
        socket.open()
        before = stage.vitals().resident_bytes
        socket.send(b"\x82" + length(size) + KEY)
        view = memoryview(bytes(size))
        for at in range(0, size - 1461, 1461 * 64):
            # In pieces that never end where a read of the server's does.
            socket.send(bytes(view[at : min(at + 1461 * 64, size - 1461)]))
        for _ in range(1460):
            socket.send(b"\0")
        stage.fence()
        assert stage.vitals().resident_bytes - before < (2 * size + 4 * MIB) * SLACK
        socket.send(b"\0", VALID)
        stage.ask("/release")
        socket.send(close(1000))
        assert code_of(until_closed(socket)) == 1000


@pytest.mark.threat(
    "G-060",
    sent="30 clients that each hold 90 % of a message of 1 MiB",
    verdict="held with at most twice its size; nobody else suffers",
)
def test_many_unfinished_messages(streams_stage: Stage) -> None:
    stage = streams_stage
    size = 943_718
    with stage.attacked(growth_bytes=64 * MIB), contextlib.ExitStack() as stack:
        before = stage.vitals().resident_bytes
        for _ in range(30):
            socket = stack.enter_context(Socket(stage)).open()
            socket.send(b"\x82" + length(MIB) + KEY + bytes(size))
        stage.fence()
        assert stage.vitals().resident_bytes - before < 2 * 30 * size + 4 * MIB


@pytest.mark.threat("G-061", sent="a message of empty fragments without end", verdict="1008 after 100")
@pytest.mark.parametrize("cut", [1, 5, 1 << 20])
def test_empty_fragments(cut: int, streams_stage: Stage) -> None:
    stage = streams_stage
    flood = frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) * 200 + CANARY
    stage.events()
    with stage.attacked(), Socket(stage) as socket:
        socket.open().send(*(flood[at : at + cut] for at in range(0, len(flood), cut)))
        assert code_of(until_closed(socket)) == 1008
    assert CANARY_BYTES not in [event.get("size") for event in stage.events()]


@pytest.mark.threat(
    "G-061", sent="a message of fragments of one byte without end", verdict="1008 after 65,536 (16 MiB / 256)"
)
def test_small_fragments(streams_stage: Stage) -> None:
    stage = streams_stage
    piece = frame(CONTINUATION, b"x", fin=False) * 4096
    with stage.attacked(), Socket(stage) as socket:
        socket.open().send(frame(BINARY, b"x", fin=False), *[piece] * 17, CANARY)
        assert code_of(until_closed(socket)) == 1008


@pytest.mark.threat(
    "G-062", sent="64 MiB of zeros in 64 KiB", verdict="1009 at the limit of 16 MiB, inflated step by step"
)
@pytest.mark.parametrize("is_cut", [False, True])
def test_a_bomb(is_cut: bool, streams_stage: Stage) -> None:
    stage = streams_stage
    data = frame(BINARY, zeros(64 * MIB), bits=COMPRESSED)
    step = 1000 if is_cut else len(data)
    with stage.attacked(growth_bytes=18 * MIB), Socket(stage, DEFLATE) as socket:
        socket.open().send(*(data[at : at + step] for at in range(0, len(data), step)), CANARY)
        assert code_of(until_closed(socket)) == 1009


@pytest.mark.threat("G-062", sent="22 bytes that inflate to 4,096", verdict="1009 at the limit of 1,000")
def test_a_small_bomb(sockets_stage: Stage) -> None:
    data = packed(bytes(4096))
    assert len(data) <= 22
    with sockets_stage.attacked(), Socket(sockets_stage, DEFLATE, then=frame(BINARY, data, bits=COMPRESSED)) as socket:
        assert code_of(until_closed(socket)) == 1009


@pytest.mark.threat("G-062", sent="150 clients that have compressed once and stay", verdict="less than 64 KiB each")
def test_idle_compression(streams_stage: Stage) -> None:
    stage = streams_stage
    message = frame(TEXT, packed(b"0123456789" * 500), bits=COMPRESSED)
    with stage.attacked(growth_bytes=16 * MIB), contextlib.ExitStack() as stack:
        before = stage.vitals().resident_bytes
        offer = DEFLATE + b"; client_max_window_bits"
        for _ in range(150):
            socket = stack.enter_context(Socket(stage, offer, then=message)).open()
            head = socket.raw.read_exactly(2)
            assert head[0] == 0xC1
            socket.raw.read_exactly(head[1])
        assert stage.vitals().resident_bytes - before < 150 * 64 * 1024 + 4 * MIB


@pytest.mark.threat(
    "G-063", sent="100,000 pings, and no answer read", verdict="1008 after about a thousand; few pongs wait"
)
@pytest.mark.parametrize("opcode", [PING, PONG_FRAME])
def test_a_flood_of_control_frames(opcode: int, streams_stage: Stage) -> None:
    stage = streams_stage
    stage.events()
    piece = frame(opcode, b"x" * 125) * 1000
    with stage.attacked(), Socket(stage, buffer=4096) as socket:
        socket.open().send(*[piece] * 100, CANARY)
        frames = until_closed(socket)
        assert code_of(frames) == 1008
        assert {item.opcode for item in frames[:-1]} <= {PONG}
        assert len(frames) < 1500
    events = stage.events()
    assert CANARY_BYTES not in [event.get("size") for event in events]
    assert [event["code"] for event in events if event["event"] == "socket-end"] == [1008]


@pytest.mark.threat(
    "G-063",
    sent="a client that does not read what an application sends without end",
    verdict="the application waits, with less than 8 MiB for all 20; told once when the client leaves",
)
def test_a_client_that_does_not_read(streams_stage: Stage) -> None:
    stage = streams_stage
    stage.events()
    with stage.attacked():
        before = stage.vitals().resident_bytes
        with contextlib.ExitStack() as stack:
            for _ in range(20):
                stack.enter_context(Socket(stage, path=b"/shout", buffer=4096)).open()
            stage.fence()
            assert stage.vitals().resident_bytes - before < 8 * MIB
        while len(events := [event for event in stage.events() if event["event"] == "shouted"]) < 1:
            stage.fence()
        assert all(event["size"] < 8 * MIB for event in events)
        stage.ask("/release")


@pytest.mark.threat("G-063", sent="frames behind the closing frame", verdict="not looked at; one disconnect")
@pytest.mark.parametrize("behind", [CANARY, b"\xff" * 100, close(1001), b""])
def test_frames_behind_the_close(behind: bytes, streams_stage: Stage) -> None:
    stage = streams_stage
    stage.events()
    with stage.attacked(), Socket(stage, then=VALID + close(4001, b"done") + behind) as socket:
        assert socket.next() == Frame(TEXT, b"valid")
        assert code_of(until_closed(socket)) == 4001
        assert not socket.raw.is_reset
    events = stage.events()
    assert [event["event"] for event in events] == ["socket", "message", "socket-end"]
    assert events[-1]["code"] == 4001


@pytest.mark.threat(
    "G-063",
    sent="FIN, or a reset, in the middle of a message, by 40 clients",
    verdict="1006, told once to each application",
)
@pytest.mark.parametrize("way", ["close", "reset", "finish_writing"])
def test_clients_that_vanish(way: str, streams_stage: Stage) -> None:
    stage = streams_stage
    stage.events()
    with stage.attacked(), contextlib.ExitStack() as stack:
        half = frame(TEXT, b"half a message")[:-5]
        sockets = [stack.enter_context(Socket(stage, then=half)).open() for _ in range(40)]
        stage.fence()
        for socket in sockets:
            getattr(socket.raw, way)()
            if way == "finish_writing":
                assert socket.next() is None
    ends = [event["code"] for event in stage.events() if event["event"] == "socket-end"]
    while len(ends) < 40:
        stage.fence()
        ends += [event["code"] for event in stage.events() if event["event"] == "socket-end"]
    assert ends == [1006] * 40
