"""What a client may not do often: the budgets of a connection (threats G-039 to G-048, H2-07, H2-11)."""

from __future__ import annotations

import pytest

from tests.support.http2 import (
    ACK,
    CONTINUATION,
    END_HEADERS,
    GET,
    HEADERS,
    POST,
    PRIORITY,
    PRIORITY_UPDATE,
    Fields,
    Wire,
    block,
    data,
    frame,
    goaway,
    headers,
    names,
    ping,
    rst,
    settings,
    update,
)
from torana.wire.http2.limits import Limits

CALM = 11
OPEN_1 = headers(1, POST, is_end=False)

#: What is sent first, what is sent again and again, after how many of them it is enough.
FLOODS = {
    "settings (G-046)": (b"", settings(), 100),
    "settings with many entries (G-046)": (b"", settings(*[(4, 0), (4, 2**31 - 1)] * 16), 100),
    "pings (G-047)": (b"", ping(), 100),
    "window updates (G-047)": (b"", update(0, 1), 1000),
    "window updates of a stream (G-047)": (OPEN_1, update(1, 1), 1000),
    "priorities of idle streams (G-047)": (b"", frame(PRIORITY, 0, 9, bytes(5)), 1000),
    "priority updates (G-047)": (b"", frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\x09u=1"), 1000),
    "unknown frames (G-047)": (b"", frame(0xEE, 0, 0, b"x"), 1000),
    "goaways (G-047)": (b"", goaway(), 1000),
    "acknowledgements": (b"", settings(flags=ACK), 1000),
    "pongs": (b"", ping(flags=ACK), 1000),
    "resets of what is over": (OPEN_1, rst(1), 1001),
    "data for what we reset": (OPEN_1 + update(1, 0), data(1, b"x"), 1000),
    "empty data (G-048)": (OPEN_1, data(1, b""), 100),
    "data of padding only (G-048)": (OPEN_1, data(1, b"", padding=255), 100),
    "data of one byte (G-048)": (OPEN_1, data(1, b"x"), 4200),
    "continuations (G-041)": (frame(HEADERS, 0, 1, block(GET)), frame(CONTINUATION, 0, 1, b""), 8),
    "long continuations (G-041)": (frame(HEADERS, 0, 1, block(GET)), frame(CONTINUATION, 0, 1, bytes(16384)), 8),
}

#: Counted in a row, not over time.
IN_A_ROW = [name for name in FLOODS if "continuations" in name or "empty" in name or "padding" in name]


@pytest.mark.parametrize("case", FLOODS, ids=str)
def test_a_flood_ends_the_connection(case: str) -> None:
    first, again, enough = FLOODS[case]
    wire = Wire()
    wire.send(first)
    sent = 0
    while wire.error is None and sent <= enough + 1:
        wire.send(again)
        sent += 1
    assert wire.error is not None
    assert (wire.error.code, wire.error.status) == (CALM, 429)
    assert sent <= enough + 1
    wire.read()
    assert [code for _, code in wire.client.goaways] == [CALM]


@pytest.mark.parametrize("case", [name for name in FLOODS if name not in IN_A_ROW])
def test_the_same_over_time_is_no_flood(case: str) -> None:
    first, again, enough = FLOODS[case]
    wire = Wire()
    wire.send(first)
    for _ in range(min(enough, 1000) * 2):
        wire.now += 0.7
        wire.send(again)
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


def resets(kind: str, number: int) -> bytes:
    """A whole request, and what makes us, or them, reset it."""
    spoilers = {
        "theirs (G-039)": rst(number),
        "window update 0 (G-040)": update(number, 0),
        "window overflow (G-040)": update(number, 2**31 - 1),
        "short priority (G-040)": frame(PRIORITY, 0, number, bytes(4)),
        "priority on itself (G-040)": frame(PRIORITY, 0, number, number.to_bytes(4, "big") + b"\xff"),
        "data after the end (G-040)": data(number, b"x"),
        "headers after the end (G-040)": headers(number),
    }
    return headers(number) + spoilers[kind]


RESETS = (
    "theirs (G-039)",
    "window update 0 (G-040)",
    "window overflow (G-040)",
    "short priority (G-040)",
    "priority on itself (G-040)",
    "data after the end (G-040)",
    "headers after the end (G-040)",
)


@pytest.mark.parametrize("kind", RESETS)
def test_a_reset_request_keeps_its_slot_until_its_application_has_ended(kind: str) -> None:
    wire = Wire(Limits(streams=10))
    events = wire.send(b"".join(resets(kind, number) for number in range(1, 21, 2)))
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


@pytest.mark.parametrize("kind", RESETS)
def test_resets_are_counted_whoever_sends_them(kind: str) -> None:
    wire = Wire(Limits(streams=10_000, resets=50))
    count = 0
    for number in range(1, 1001, 2):
        events = wire.send(resets(kind, number))
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
        for event in wire.send(resets("theirs (G-039)", number))[:1]:
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


#: Sections that grow when they are decoded (G-042, G-043), by name: the block, and whether the connection ends.
BOMBS = {
    "one large field, repeated (G-042)": (b"\x40\x01a" + b"\x7f\xa1\x1e" + b"x" * 4000 + b"\xbe" * 16_000, True),
    "empty cookie, repeated (G-043)": (b"\x60\x00" + b"\xbe" * 32_000, True),
    "slightly too many (G-043)": (block(GET) + b"\x60\x00" + b"\xbe" * 300, False),
    "slightly too large (G-042)": (block(GET) + b"\x40\x01a\x7f\xa1\x1e" + b"x" * 4000 + b"\xbe" * 20, False),
}


@pytest.mark.parametrize("case", BOMBS, ids=str)
def test_a_bomb_does_not_go_off(case: str) -> None:
    raw, is_fatal = BOMBS[case]
    parts = [raw[i : i + 16384] for i in range(0, len(raw), 16384)]
    wire = Wire()
    for i, part in enumerate(parts):
        flags = END_HEADERS if i == len(parts) - 1 else 0
        wire.send(frame(CONTINUATION if i else HEADERS, flags | (0 if i else 1), 1, part))
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


def test_fields_that_repeat_are_no_way_around_the_count() -> None:
    fields: Fields = [*GET, *[(b"cookie", b"")] * 125]
    wire = Wire()
    (event,) = wire.send(headers(1, fields))
    assert event.reason == "many-fields"
    assert event.setting == "limit_field_count"
