"""Which requests are well formed, and what becomes of those that are not (threats G-052 to G-054, G-056; H2-01..06)."""

from __future__ import annotations

import pytest

from tests.support.http2 import (
    GET,
    POST,
    WEBSOCKET,
    Fields,
    Wire,
    data,
    headers,
    names,
)
from tests.unit.wire.corpus.http2_heads import (
    LENGTHS,
    MALFORMED,
    REFUSED,
    also,
    pieces_of,
    replaced,
    with_length,
    without,
)
from torana.wire.http2.heads import parse_priority

PROTOCOL = 1


@pytest.mark.parametrize("case", MALFORMED, ids=str)
def test_a_malformed_request_is_reset_alone(case: str) -> None:
    raw = headers(1, MALFORMED[case])
    for pieces in ([raw], [raw[i : i + 1] for i in range(len(raw))]):
        wire = Wire()
        assert names(wire.send(*pieces)) == ["Refused 1"]
        assert wire.error is None
        wire.read()
        assert wire.client.resets == {1: PROTOCOL}
        assert wire.server.running == 0
        # The next one on the same connection is served (H2-01), and what still comes of this one is dropped.
        assert names(wire.send(headers(3) + data(1, b"late", True))) == ["Opened 3"]
        assert wire.server.running == 1


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_what_cannot_be_met_is_answered(case: str) -> None:
    fields, status = REFUSED[case]
    wire = Wire()
    (event,) = wire.send(pieces_of(fields))
    assert (names([event]), event.status) == (["Refused 1"], status)
    wire.read()
    assert wire.client.heads[1] == [{b":status": b"%d" % status, b"content-length": b"0"}]
    assert wire.client.ended == {1}
    assert wire.client.resets == {}
    assert names(wire.send(headers(3))) == ["Opened 3"]


def test_an_answered_refusal_cuts_off_the_body() -> None:
    wire = Wire()
    wire.send(pieces_of(REFUSED["many fields"][0], is_end=False))
    wire.read()
    assert wire.client.heads[1][0][b":status"] == b"431"
    assert wire.client.resets == {1: 0}


def test_extended_connect_needs_our_word() -> None:
    wire = Wire(has_connect_protocol=False)
    assert names(wire.send(headers(1, WEBSOCKET, is_end=False))) == ["Refused 1"]
    wire.read()
    assert wire.client.resets == {1: PROTOCOL}


def test_a_websocket_is_a_request_to_upgrade() -> None:
    wire = Wire()
    (event,) = wire.send(headers(1, WEBSOCKET, is_end=False))
    head = event.head
    assert (head.method, head.upgrade, head.target, head.content_length) == ("CONNECT", b"websocket", b"/chat", -1)
    assert head.fields == [(b"host", b"t"), (b"sec-websocket-version", b"13")]


def test_a_head_says_what_the_fields_say() -> None:
    wire = Wire()
    fields = [
        *replaced(b":path", b"/a%20b?c=d&e", POST),
        (b"cookie", b"a=1"),
        (b"accept", b"*/*"),
        (b"cookie", b"b=2"),
        (b"te", b"trailers"),
        (b"content-length", b"5"),
        (b"expect", b"100-Continue"),
        (b"host", b"T"),
        (b"x_y", b"dropped"),
        (b"proxy", b"http://evil"),
        (b"x-forwarded-for", b"1.2.3.4"),
        (b"cookie", b"c=3"),
    ]
    (event,) = wire.send(headers(1, fields, is_end=False))
    head = event.head
    assert head.method == "POST"
    assert head.version == "2"
    assert (head.target, head.raw_path, head.query) == (b"/a%20b?c=d&e", b"/a%20b", b"c=d&e")
    assert head.fields == [
        (b"host", b"t"),
        (b"cookie", b"a=1; b=2; c=3"),
        (b"accept", b"*/*"),
        (b"te", b"trailers"),
        (b"content-length", b"5"),
        (b"expect", b"100-Continue"),
        (b"x-forwarded-for", b"1.2.3.4"),
    ]
    assert (head.content_length, head.expects_continue, head.takes_trailers) == (5, True, True)
    assert head.has_forwarding
    assert head.keep_alive
    assert head.upgrade is None
    assert wire.server.dropped == 2


@pytest.mark.parametrize(
    ("fields", "host"),
    [
        (without(GET, b":authority") + [(b"accept", b"*/*"), (b"host", b"a.example:8080")], b"a.example:8080"),
        (replaced(b":authority", b"[::1]:80"), b"[::1]:80"),
        (also((b"host", b"T")), b"t"),
    ],
)
def test_the_host_is_one_and_first(fields: Fields, host: bytes) -> None:
    wire = Wire()
    (event,) = wire.send(headers(1, fields))
    assert event.head.fields[0] == (b"host", host)
    assert [name for name, _ in event.head.fields].count(b"host") == 1


def test_options_may_ask_for_all() -> None:
    wire = Wire()
    (event,) = wire.send(headers(1, replaced(b":path", b"*", replaced(b":method", b"OPTIONS"))))
    assert event.head.raw_path == b"*"


def test_the_same_block_again_means_the_same_and_shares_nothing() -> None:
    wire = Wire()
    raw = also((b"priority", b"u=1"), (b"cookie", b"a"), (b"cookie", b"b"))
    first, second, third = (wire.send(headers(number, raw))[0] for number in (1, 3, 5))
    assert first.head.fields == second.head.fields == third.head.fields
    second.head.fields.append((b"a", b"b"))
    assert len(wire.send(headers(7, raw))[0].head.fields) == len(third.head.fields)
    assert [event.stream.urgency for event in (first, second, third)] == [1, 1, 1]
    (posted,) = wire.send(headers(9, raw, is_end=False))
    assert posted.head.content_length == -1


@pytest.mark.parametrize(("length", "bodies", "fault"), LENGTHS)
@pytest.mark.parametrize("padding", [None, 0, 7])
def test_the_length_is_held_against_the_data(
    length: bytes | None, bodies: list[bytes], fault: str, padding: int | None
) -> None:
    raw = with_length(length, bodies, padding, 1)
    for pieces in ([raw], [raw[i : i + 1] for i in range(len(raw))]):
        wire = Wire()
        events = wire.send(*pieces)
        resets = [event.reason for event in events if names([event]) == ["Reset 1"]]
        ends = [event for event in events if names([event]) == ["Ended 1"]]
        assert resets == ([fault] if fault else [])
        assert len(ends) == (0 if fault or length == b"0" else 1)
        wire.read()
        assert wire.client.resets == ({1: PROTOCOL} if fault else {})


@pytest.mark.parametrize(("size", "fault"), [(5, ""), (3, "short-body")])
def test_the_length_is_held_against_the_data_before_trailers(size: int, fault: str) -> None:
    wire = Wire()
    raw = headers(1, [*POST, (b"content-length", b"5")], is_end=False) + data(1, b"a" * size)
    events = wire.send(raw + headers(1, [(b"x-sum", b"1")]))
    assert names(events[2:]) == ["Reset 1" if fault else "Ended 1"]
    if not fault:
        assert events[2].trailers == [(b"x-sum", b"1")]


@pytest.mark.parametrize(
    ("trailers", "reason"),
    [
        ([(b"Upper", b"1")], "bad-trailer"),
        ([(b"a", b"b\n")], "bad-value"),
        ([(b"te", b"trailers")], "forbidden-trailer"),
        ([(b"x-forwarded-for", b"1")], "forbidden-trailer"),
        ([(b"a", b"b" * 10_000)], "long-head"),
    ],
)
def test_trailers_are_judged(trailers: Fields, reason: str) -> None:
    wire = Wire()
    events = wire.send(headers(1, POST, is_end=False), data(1, b"x"), headers(1, trailers))
    assert names(events) == ["Opened 1", "Body 1", "Reset 1"]
    assert events[2].reason == reason


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", (3, False)),
        (b"u=0", (0, False)),
        (b"u=7, i", (7, True)),
        (b"i, u=2", (2, True)),
        (b"i=?0,u=1", (1, False)),
        (b"u=8", (3, False)),
        (b"u=-1", (3, False)),
        (b"u=10", (3, False)),
        (b"nonsense;x=y", (3, False)),
    ],
)
def test_a_priority_is_read_or_left(value: bytes, expected: tuple[int, bool]) -> None:
    assert parse_priority(value) == expected
