"""Floods of HTTP/2 in small: the ration holds, and what it protects is as it was (G-039 to G-043, G-046 to G-048).

The same with a healthy client's latency and the worker's processor time measured: ``tests/attacks``.
"""

from __future__ import annotations

import pytest

from tests.support.http2 import GET, SETTINGS, block, frame, headers, rst, settings, update
from tests.threats.http2_wire import BEGIN, Neighbour, connected, settled
from tests.threats.stage import Stage
from tests.unit.wire.corpus.http2_blocks import in_frames
from tests.unit.wire.corpus.http2_case import CALM, CANARY, HELD, REFUSED, to
from tests.unit.wire.corpus.http2_floods import FLOODS, SPOILERS, Flood, spoilt

MIB = 1024 * 1024
#: As many streams as one connection may have, and resets as it may have at once.
STREAMS, RESETS = 128, 200


@pytest.fixture(scope="module", autouse=True)
def neighbour(streams_stage: Stage) -> object:
    """A client of HTTP/2 that is served through all of it."""
    with Neighbour(streams_stage) as neighbour:
        yield neighbour


def _marked(flood: Flood) -> object:
    mark = pytest.mark.threat(
        flood.threat,
        sent=f"{flood.name}, again and again",
        verdict=f"GOAWAY(ENHANCE_YOUR_CALM) after {flood.enough:,}"
        + (" in a row" if flood.is_in_a_row else " at once"),
    )
    return pytest.param(flood, id=flood.name, marks=mark)


@pytest.mark.parametrize("flood", [_marked(flood) for flood in FLOODS])
def test_flood(flood: Flood, streams_stage: Stage) -> None:
    streams_stage.events()
    with streams_stage.attacked(), connected(streams_stage, BEGIN + flood.first) as streams:
        # Some more than the ration, for what is forgiven meanwhile.
        for _ in range(8):
            streams.send(flood.again * (flood.enough // 4 + 1))
        streams.send(CANARY)
        streams.to_the_end()
        streams_stage.ask("/release")
    assert streams.codes() == [CALM]
    assert not streams.connection.is_reset
    assert "/canary" not in {call["path"] for call in streams_stage.calls()}
    # Whatever it was, it was answered once for each at most.
    assert sum(len(item.payload) + 9 for item in streams.frames) < 64 * 1024


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            name,
            marks=pytest.mark.threat(
                threat,
                sent=f"400 requests, each with {name} right behind it",
                verdict="never more than 128 calls run; GOAWAY(ENHANCE_YOUR_CALM) after 200",
            ),
        )
        for name, (threat, _) in SPOILERS.items()
    ],
)
def test_resets(kind: str, streams_stage: Stage) -> None:
    stage = streams_stage
    stage.events()
    with stage.attacked():
        # All at once: those that were reset in the same read are no calls at all.
        with connected(stage) as streams:
            streams.send(b"".join(spoilt(kind, number) for number in range(1, 801, 2)) + CANARY)
            streams.to_the_end()
            assert streams.codes() == [CALM]
        stage.ask("/release")
        assert len([event for event in stage.events() if event["event"] == "held"]) <= STREAMS
        # One after the other: a call that runs keeps its place, though its stream is over.
        with connected(stage) as streams:
            numbers = range(1, 2 * STREAMS, 2)
            streams.send(b"".join(headers(number, HELD) for number in numbers))
            stage.fence()
            streams.send(b"".join(SPOILERS[kind][1](number) for number in numbers))
            streams.send(b"".join(headers(number, HELD) for number in range(301, 321, 2)))
            streams.until(lambda: 319 in streams.peer.resets)
            assert {streams.peer.resets[number] for number in range(301, 321, 2)} == {REFUSED}
            held = [event for event in stage.events() if event["event"] == "held"]
            assert len(held) == STREAMS
            assert stage.ask("/release").body == b"%d" % STREAMS
            stage.fence()
            streams.send(headers(401, to(b"/free")))
            streams.answered(401)
            assert streams.status(401) == 200
            streams.send(b"".join(spoilt(kind, number) for number in range(501, 801, 2)))
            streams.to_the_end()
            assert streams.codes() == [CALM]
        stage.ask("/release")


@pytest.mark.threat(
    "G-039",
    sent="300 requests at once, before our SETTINGS can have been read",
    verdict="128 are served, 172 get RST_STREAM(REFUSED_STREAM)",
)
def test_more_streams_than_may_be(streams_stage: Stage) -> None:
    with streams_stage.attacked(), connected(streams_stage) as streams:
        numbers = range(1, 601, 2)
        streams.send(b"".join(headers(number, HELD) for number in numbers))
        streams.until(lambda: 599 in streams.peer.resets)
        assert [streams.peer.resets.get(number) for number in numbers] == [None] * 128 + [REFUSED] * 172
        streams_stage.ask("/release")
        streams.answered(*numbers)
        assert {streams.status(number) for number in numbers[:128]} == {200}


@pytest.mark.threat(
    "G-043",
    sent="100 requests of 123 cookie crumbs each, indexed, and windows opened by 1 byte",
    verdict="all served; the worker has grown by less than 16 MiB",
)
@pytest.mark.threat(
    "G-042",
    sent="100 requests of 64 KiB each, in 40 bytes",
    verdict="all served; the worker has grown by less than 16 MiB",
)
@pytest.mark.parametrize("name", [b"cookie", b"x-large"])
@pytest.mark.parametrize("size", [0, 480])
def test_heads_that_unfold_behind_a_closed_window(name: bytes, size: int, streams_stage: Stage) -> None:
    stage = streams_stage
    # An entry, 123 indices of it: a head of as many bytes as there may be.
    entry = (
        b"\x40" + bytes((len(name),)) + name + (bytes((size,)) if size < 127 else b"\x7f" + _long(size)) + b"v" * size
    )
    with stage.attacked():
        before = stage.vitals().resident_bytes
        with settled(stage, (4, 0)) as streams:
            numbers = range(1, 201, 2)
            for number in numbers:
                raw = block(to(b"/hold")) + (entry if number == 1 else b"\xbe") + b"\xbe" * 122
                streams.send(frame(1, 5, number, raw))
            streams.send(b"".join(update(number, 1) for number in numbers) * 5)
            stage.fence()
            assert stage.vitals().resident_bytes - before < 16 * MIB
            stage.ask("/release")
            streams.send(b"".join(update(number, 100) for number in numbers))
            streams.answered(*numbers)
            assert {streams.status(number) for number in numbers} == {200}


def _long(size: int) -> bytes:
    size -= 127
    return bytes((size & 127 | 128, size >> 7)) if size > 127 else bytes((size,))


@pytest.mark.threat(
    "G-045",
    sent="requests that are malformed, refused, too large or reset, whose blocks fill the table",
    verdict="the next request refers to it and is understood",
)
def test_the_table_is_kept_whatever_becomes_of_a_request(streams_stage: Stage) -> None:
    stage = streams_stage
    entry = b"\x40\x05x-mem\x04"
    spoilt_blocks = {
        "malformed": block(GET[1:]),
        "too large": block([*GET, *[(b"c", b"d")] * 200]),
        "not to be met": block([(b":method", b"CONNECT"), (b":authority", b"t:1")]),
        "reset": block(to(b"/hold")),
    }
    for at, (name, raw) in enumerate(spoilt_blocks.items()):
        stage.events()
        with stage.attacked(), connected(stage) as streams:
            value = b"%04d" % at
            streams.send(in_frames(raw + entry + value), rst(3) if name == "reset" else b"")
            streams.send(frame(1, 5, 5, block(to(b"/remembers")) + b"\xbe"))
            streams.answered(5)
            assert streams.status(5) == 200, name
            stage.ask("/release")
        (call,) = [call for call in stage.calls() if call["path"] == "/remembers"]
        assert ["x-mem", value.decode()] in call["headers"], name


@pytest.mark.threat(
    "G-045",
    sent="SETTINGS_HEADER_TABLE_SIZE 0, and 2^32-1",
    verdict="answers are understood; our table has 4,096 bytes at most",
)
@pytest.mark.parametrize("size", [0, 100, 2**32 - 1])
def test_our_table_is_small_whatever_the_client_allows(size: int, streams_stage: Stage) -> None:
    with streams_stage.attacked(), settled(streams_stage, (1, size)) as streams:
        for number in range(1, 101, 2):
            streams.send(headers(number, to(b"/%d" % number)))
            streams.answered(number)
            assert streams.status(number) == 200
        assert streams.peer._decoder.table.size <= min(size, 4096)


@pytest.mark.threat(
    "G-046",
    sent="SETTINGS, and all acknowledgements unread",
    verdict="each is acknowledged once, up to the ration of 100",
)
def test_each_settings_frame_is_acknowledged_once(streams_stage: Stage) -> None:
    with streams_stage.attacked(), connected(streams_stage) as streams:
        streams.send(settings((4, 100)) * 60, CANARY)
        streams.answered(101)
        assert len([item for item in streams.frames if item.kind == SETTINGS and item.flags & 1]) == 61


@pytest.mark.threat(
    "G-046",
    sent="SETTINGS_INITIAL_WINDOW_SIZE 0, the frame cut at every byte",
    verdict="no DATA before the window is opened",
)
def test_a_cut_settings_frame_is_not_forgotten(streams_stage: Stage) -> None:
    stage = streams_stage
    change = settings((4, 0))
    with stage.attacked():
        several = [(connected(stage), at) for at in range(1, len(change))]
        for streams, at in several:
            streams.send(change[:at])
        stage.fence()
        for streams, at in several:
            with streams:
                streams.send(change[at:], headers(1, to(b"/body")), headers(3, to(b"/unread/1")))
                streams.until(lambda s=streams: {1, 3} <= s.peer.heads.keys())
                assert not streams.peer.bodies
                streams.send(update(1, 100), update(3, 1))
                streams.until(lambda s=streams: {1, 3} <= s.peer.bodies.keys())
                streams.answered(1)
                assert streams.peer.bodies == {1: b"GET /body 0", 3: b"n"}


@pytest.mark.threat(
    "G-047",
    sent="requests by the hundred, and none of the answers read",
    verdict="reading pauses; other clients are served; the worker has grown by less than 16 MiB",
)
def test_answers_that_nobody_reads_stop_the_reading(streams_stage: Stage) -> None:
    stage = streams_stage
    # 128 answers of 60,000 bytes wait: as many pages may stay with the allocator.
    with stage.attacked(growth_bytes=16 * MIB):
        before = stage.vitals().resident_bytes
        with stage.connect(receive_buffer_bytes=4096) as raw:
            raw.socket.setblocking(False)
            asked, blob = 0, BEGIN + update(0, 2**30)
            try:
                while asked < 20_000:
                    raw.socket.sendall(blob)
                    blob = b"".join(
                        headers(2 * number + 1, to(b"/unread/30000")) for number in range(asked, asked + 10)
                    )
                    asked += 10
            except BlockingIOError:
                pass
            stage.fence()
            assert stage.vitals().resident_bytes - before < 16 * MIB
