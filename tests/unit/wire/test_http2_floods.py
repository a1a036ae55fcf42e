"""What a client may not do often: the budgets of a connection (threats G-039 to G-048, H2-07, H2-11)."""

from __future__ import annotations

import tracemalloc

import pytest

from tests.support.http2 import (
    GET,
    HEADERS,
    POST,
    Fields,
    Wire,
    block,
    data,
    frame,
    headers,
    names,
    ping,
    rst,
    settings,
    update,
)
from tests.unit.wire.corpus.http2_blocks import BOMBS, in_frames
from tests.unit.wire.corpus.http2_case import CALM
from tests.unit.wire.corpus.http2_floods import FLOODS, SPOILERS, Flood, spoilt
from torana.wire.http2.limits import Limits

OPEN_1 = headers(1, POST, is_end=False)


@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: flood.name)
def test_a_flood_ends_the_connection(flood: Flood) -> None:
    wire = Wire()
    wire.send(flood.first)
    sent = 0
    while wire.error is None and sent <= flood.enough + 1:
        wire.send(flood.again)
        sent += 1
    assert wire.error is not None
    assert (wire.error.code, wire.error.status) == (CALM, 429)
    assert sent <= flood.enough + 1
    wire.read()
    assert [code for _, code in wire.client.goaways] == [CALM]


@pytest.mark.parametrize("flood", [flood for flood in FLOODS if not flood.is_in_a_row], ids=lambda flood: flood.name)
def test_the_same_over_time_is_no_flood(flood: Flood) -> None:
    wire = Wire()
    wire.send(flood.first)
    for _ in range(min(flood.enough, 1000) * 2):
        wire.now += 0.7
        wire.send(flood.again)
        wire.read()
    assert wire.error is None


def test_small_frames_that_are_consumed_cost_nothing() -> None:
    """A client of small messages, such as gRPC's, lives (G-048)."""
    wire = Wire()
    wire.send(OPEN_1)
    for _ in range(20_000):
        (event,) = wire.send(data(1, b"\0\0\0\0\x03abc"))
        wire.server.acknowledge(event.stream, event.size)
        wire.read()
    assert wire.error is None


def test_data_pays_for_the_frames_that_it_makes_the_client_send() -> None:
    """Clients measure bandwidth with PINGs and open their windows for each frame (G-047)."""
    wire = Wire()
    wire.send(settings((4, 2**31 - 1)), update(0, 2**30), headers(1))
    wire.server.send_head(wire.streams[1], 200, [], -1, b"", False, b"", [])
    for _ in range(3000):
        wire.server.send_data(wire.streams[1], bytes(300), False)
        wire.read()
        wire.send(ping(), update(0, 500), update(0, 500), update(1, 1))
    assert wire.error is None


def test_a_reset_of_what_was_answered_costs_nothing() -> None:
    wire = Wire(Limits(resets=10))
    for number in range(1, 201, 2):
        wire.send(headers(number, POST, is_end=False))
        wire.answer(number)
        wire.send(rst(number))
        wire.read()
    assert wire.error is None
    assert wire.server.running == 0


@pytest.mark.parametrize("kind", SPOILERS)
def test_a_reset_request_keeps_its_slot_until_its_application_has_ended(kind: str) -> None:
    wire = Wire(Limits(streams=10))
    events = wire.send(b"".join(spoilt(kind, number) for number in range(1, 21, 2)))
    assert names(events) == [f"{name} {number}" for number in range(1, 21, 2) for name in ("Opened", "Reset")]
    assert wire.server.running == 10
    assert names(wire.send(headers(21))) == ["Refused 21"]
    wire.read()
    assert wire.client.resets[21] == 7
    wire.server.finished(wire.streams[1])
    assert wire.server.running == 9
    assert names(wire.send(headers(23), headers(25))) == ["Opened 23", "Refused 25"]
    for stream in wire.streams.values():
        wire.server.finished(stream)
        wire.server.finished(stream)
    assert wire.server.running == 1  # 23 waits for its answer


@pytest.mark.parametrize("kind", SPOILERS)
def test_resets_are_counted_whoever_sends_them(kind: str) -> None:
    wire = Wire(Limits(streams=10_000, resets=50))
    count = 0
    for number in range(1, 1001, 2):
        events = wire.send(spoilt(kind, number))
        if wire.error:
            break
        count += 1
        for event in events[:1]:
            wire.server.finished(event.stream)
    assert wire.error is not None
    assert (wire.error.code, wire.error.setting) == (CALM, "limit_http2_resets")
    assert count == 50


def test_resets_are_forgiven_in_time() -> None:
    wire = Wire(Limits(resets=30))
    for number in range(1, 401, 2):
        wire.now += 1.01
        for event in wire.send(spoilt("RST_STREAM", number))[:1]:
            wire.server.finished(event.stream)
        wire.read()
    assert wire.error is None


def test_malformed_requests_spend_the_same_budget() -> None:
    wire = Wire(Limits(resets=50))
    for number in range(1, 201, 2):
        wire.send(headers(number, GET[1:]))
    assert wire.error is not None
    assert wire.error.setting == "limit_http2_resets"
    assert len(wire.events) == 50


def test_too_many_streams_cost_only_the_surplus() -> None:
    """H2-07: 300 at once, before the client has read our settings."""
    wire = Wire()
    events = wire.send(b"".join(headers(number) for number in range(1, 601, 2)))
    assert [type(event).__name__ for event in events] == ["Opened"] * 128 + ["Refused"] * 172
    assert {event.setting for event in events[128:]} == {"limit_http2_streams"}
    for event in events[:128]:
        wire.answer(event.stream.id)
    wire.read()
    assert set(wire.client.resets.values()) == {7}
    assert len(wire.client.ended) == 128
    assert wire.server.running == 0


def test_refusals_too_end_some_time() -> None:
    wire = Wire(Limits(streams=1))
    for number in range(1, 4001, 2):
        wire.send(headers(number))
    assert wire.error is not None
    assert wire.error.setting == "limit_http2_streams"


@pytest.mark.parametrize("case", BOMBS, ids=str)
def test_a_bomb_does_not_go_off(case: str) -> None:
    _, raw, is_fatal = BOMBS[case]
    wire = Wire()
    wire.send(in_frames(raw))
    if is_fatal:
        assert wire.error is not None
        assert wire.error.code == CALM
    else:
        assert wire.error is None
        assert [event.status for event in wire.events] == [431]


def test_a_refused_block_still_changes_the_table() -> None:
    """G-045: what a refused, malformed, late or too large block put into the table can be referred to."""
    entry = b"\x40\x01a\x01b"  # a: b, added to the table
    cases = [
        (b"", frame(HEADERS, 5, 3, block(GET[1:]) + entry)),  # malformed
        (b"", frame(HEADERS, 5, 3, block([*GET, *[(b"c", b"d")] * 200]) + entry)),  # too many
        (headers(3, POST, is_end=False) + rst(3), frame(HEADERS, 5, 3, entry)),  # their own reset
        (headers(3, POST, is_end=False) + update(3, 0), frame(HEADERS, 5, 3, entry)),  # ours
        (headers(3, POST, is_end=False), frame(HEADERS, 4, 3, entry)),  # trailers without an end
        (headers(1), frame(HEADERS, 5, 3, block(GET) + entry)),  # over the limit of streams
    ]
    for first, second in cases:
        wire = Wire(Limits(streams=1))
        for event in wire.send(first, second):
            if names([event])[0].startswith(("Opened 3", "Reset 3")):
                wire.server.reset(event.stream, 8)
                wire.server.finished(event.stream)
        if 1 in wire.streams:
            wire.answer(1)
        (event,) = wire.send(frame(HEADERS, 5, 5, block(GET) + b"\xbe"))
        assert event.head.fields == [(b"host", b"t"), (b"a", b"b")]


def test_replies_that_nobody_reads_stop_the_reading() -> None:
    """G-047: with the output not taken, it stays small, and the wire says that it is enough."""
    wire = Wire(Limits(streams=20_000, resets=20_000))
    number = 1
    while not wire.server.is_choked:
        wire.send(headers(number, GET[1:]))
        number += 2
    assert number // 2 * 13 <= 64 * 1024 + 13
    wire.read()
    assert not wire.server.is_choked


def test_heads_that_are_remembered_are_small_ones() -> None:
    """G-042: sixteen crumbs of 4,000 bytes in an index each make a cookie of 64 KiB, from a block of 80 bytes."""
    wire = Wire(Limits(streams=1000, resets=1000))
    entry = b"\x40\x06cookie\x7f\xa1\x1e" + b"c" * 4000
    wire.send(in_frames(block(GET) + entry, 1))
    wire.answer(1)
    wire.read()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(3, 203, 2):
            raw = block([*GET, (b"x", b"%d" % number)]) + b"\xbe" * 15
            (event,) = wire.send(in_frames(raw, number))
            assert len(event.head.fields[-1][1]) > 60_000
            wire.answer(number)
            wire.read()
        del event
        wire.events.clear()
        wire.streams.clear()
        # What the client itself remembers does not count.
        for kept in (wire.client.frames, wire.client.heads, wire.client.bodies, wire.client.ended):
            kept.clear()  # type: ignore[attr-defined]
        assert tracemalloc.get_traced_memory()[0] - before < 64 * 1024
    finally:
        tracemalloc.stop()


def test_fields_that_repeat_are_no_way_around_the_count() -> None:
    fields: Fields = [*GET, *[(b"cookie", b"")] * 125]
    wire = Wire()
    (event,) = wire.send(headers(1, fields))
    assert event.reason == "many-fields"
    assert event.setting == "limit_field_count"
