"""What an answer looks like on the wire, in which order they leave, how a connection ends (G-055; H2-08, H2-14)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.http2 import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    GET,
    HEADERS,
    POST,
    PRIORITY_UPDATE,
    WEBSOCKET,
    Fields,
    Wire,
    data,
    frame,
    goaway,
    headers,
    names,
    rst,
    settings,
    update,
)
from torana.wire.events import CLOSED, NEED_DATA
from torana.wire.http2.states import LegalityError


def opened(*fields: tuple[bytes, bytes]) -> tuple[Wire, Any]:
    wire = Wire()
    wire.send(headers(1, [*GET, *fields]))
    return wire, wire.streams[1]


def wide(wire: Wire) -> Wire:
    """Let the client have opened all its windows."""
    wire.send(settings((4, 2**31 - 1)), update(0, 2**31 - 1 - 65535))
    wire.read()
    wire.client.frames.clear()
    return wire


#: Fields, length, data, is_end, date, defaults; the head that comes of it, the body, whether the stream is ended.
HEADS: list[tuple[Fields, int, bytes, bool, bytes, Fields, dict[bytes, bytes], bytes, bool]] = [
    ([], 5, b"hello", True, b"", [], {b"content-length": b"5"}, b"hello", True),
    ([], -1, b"hello", True, b"", [], {}, b"hello", True),
    ([], -1, b"", False, b"", [], {}, b"", False),
    ([], 0, b"", True, b"", [], {b"content-length": b"0"}, b"", True),
    ([], -2, b"", True, b"", [], {}, b"", True),
    ([], -2, b"ignored", False, b"", [], {}, b"", True),
    ([(b"Content-Length", b"5")], 5, b"hello", True, b"", [], {b"content-length": b"5"}, b"hello", True),
    ([(b"Content-Type", b"a/b")], -1, b"", True, b"now", [], {b"content-type": b"a/b", b"date": b"now"}, b"", True),
    ([(b"Date", b"then")], -1, b"", True, b"now", [], {b"date": b"then"}, b"", True),
    ([(b"server", b"app")], -1, b"", True, b"", [(b"server", b"us")], {b"server": b"app"}, b"", True),
    ([(b"Server", b"app")], -1, b"", True, b"", [(b"server", b"us")], {b"server": b"app"}, b"", True),
    ([], -1, b"", True, b"", [(b"server", b"us"), (b"x", b"y")], {b"server": b"us", b"x": b"y"}, b"", True),
    (
        [(b"connection", b"close"), (b"Keep-Alive", b"1"), (b"upgrade", b"x"), (b"transfer-encoding", b"chunked")],
        -1,
        b"",
        True,
        b"",
        [],
        {},
        b"",
        True,
    ),
]


@pytest.mark.parametrize(("fields", "length", "body", "is_end", "date", "defaults", "head", "sent", "ended"), HEADS)
def test_a_head_and_what_goes_with_it(
    fields: Fields,
    length: int,
    body: bytes,
    is_end: bool,
    date: bytes,
    defaults: Fields,
    head: dict[bytes, bytes],
    sent: bytes,
    ended: bool,
) -> None:
    wire, stream = opened()
    wire.server.send_head(stream, 200, fields, length, body, is_end, date, defaults)
    wire.read()
    assert wire.client.heads[1] == [{b":status": b"200"} | head]
    assert wire.client.bodies.get(1, b"") == sent
    assert (1 in wire.client.ended) == ended
    assert stream.is_sent == ended


@pytest.mark.parametrize("field", [(b"a", b"b\r\nc"), (b"a b", b"c"), (b"", b"c"), (b":status", b"200"), (b"a", b"\0")])
def test_what_could_split_a_head_is_refused_and_spoils_nothing(field: tuple[bytes, bytes]) -> None:
    wire, stream = opened()
    with pytest.raises(ValueError):
        wire.server.send_head(stream, 200, [(b"x-new", b"1"), field], 2, b"ok", True, b"", [])
    assert wire.server.output(1000) == b""
    wire.server.send_head(stream, 500, [(b"x-new", b"1"), (b"x-newer", b"2")], 2, b"ok", True, b"", [])
    wire.read()
    assert wire.client.heads[1] == [
        {b":status": b"500", b"x-new": b"1", b"x-newer": b"2", b"content-length": b"2"},
    ]


@pytest.mark.parametrize(
    "field", [(b":x", b"1"), (b"content-length", b"1"), (b"Host", b"t"), (b"a", b"b\n"), (b"a b", b"c"), (b"", b"")]
)
@pytest.mark.parametrize("waiting", [0, 100_000])
def test_what_may_not_be_a_trailer_is_refused(field: tuple[bytes, bytes], waiting: int) -> None:
    wire, stream = opened()
    wire.server.send_head(stream, 200, [], -1, bytes(waiting), False, b"", [])
    with pytest.raises(ValueError):
        wire.server.send_trailers(stream, [field])
    wire.server.send_trailers(stream, [(b"Grpc-Status", b"0")])
    wide(wire)
    assert wire.client.heads[1][1] == {b"grpc-status": b"0"}


def test_a_head_longer_than_a_frame_is_continued() -> None:
    wire, stream = opened()
    fields = [(b"x-%d" % i, bytes([65 + i]) * 9000) for i in range(5)]
    wire.server.send_head(stream, 200, fields, 0, b"", True, b"", [])
    frames = wire.read()
    assert {item.kind for item in frames[1:]} == {CONTINUATION}
    assert [item.flags & END_HEADERS for item in frames] == [0] * (len(frames) - 1) + [END_HEADERS]
    assert frames[0].flags & 1
    assert max(len(item.payload) for item in frames) <= 16384
    assert wire.client.heads[1][0] == {b":status": b"200", b"content-length": b"0", **dict(fields)}


def test_interim_heads_come_before_and_trailers_after() -> None:
    wire, stream = opened()
    wire.server.send_informational(stream, 100, [])
    wire.server.send_informational(stream, 103, [(b"link", b"</a>")])
    wire.server.send_head(stream, 200, [], -1, b"a", False, b"", [])
    wire.server.send_data(stream, bytearray(b"b"), False)
    wire.server.send_data(stream, memoryview(b"c"), False)
    wire.server.send_data(stream, b"", False)
    wire.server.send_trailers(stream, [(b"x-sum", b"1")])
    frames = wire.read()
    assert [head.get(b":status", b"") for head in wire.client.heads[1]] == [b"100", b"103", b"200", b""]
    assert wire.client.bodies[1] == b"abc"
    assert frames[-1].kind == HEADERS
    assert [item.is_end for item in frames] == [False] * (len(frames) - 1) + [True]


def test_trailers_wait_for_the_body() -> None:
    wire, stream = opened()
    wire.server.send_head(stream, 200, [], -1, bytes(100_000), False, b"", [])
    wire.server.send_trailers(stream, [(b"x-sum", b"1")])
    wire.server.finished(stream)
    wire.read()
    assert len(wire.client.heads[1]) == 1
    wide(wire)
    assert wire.client.heads[1][1] == {b"x-sum": b"1"}
    assert 1 in wire.client.ended
    assert names(wire.take()) == ["Sent 1"]
    assert wire.server.running == 0


def test_out_of_order_is_our_own_mistake() -> None:
    wire, stream = opened()
    with pytest.raises(LegalityError):
        wire.server.send_data(stream, b"x", True)
    with pytest.raises(LegalityError):
        wire.server.send_trailers(stream, [])
    wire.server.send_head(stream, 200, [], -1, b"", False, b"", [])
    with pytest.raises(LegalityError):
        wire.server.send_head(stream, 200, [], -1, b"", False, b"", [])
    with pytest.raises(LegalityError):
        wire.server.send_informational(stream, 103, [])
    wire.server.send_data(stream, b"x", True)
    wire.server.send_data(stream, b"", True)  # the stream is over: nothing
    wire.read()
    assert wire.client.bodies[1] == b"x"


@pytest.mark.parametrize("status", [101, 99, 200])
def test_what_is_no_interim_status_is_refused(status: int) -> None:
    wire, stream = opened()
    with pytest.raises(ValueError):
        wire.server.send_informational(stream, status, [])


@pytest.mark.parametrize("is_ours", [False, True])
def test_nothing_is_sent_on_a_stream_that_was_reset(is_ours: bool) -> None:
    wire, stream = opened()
    wire.server.send_head(stream, 200, [], -1, bytes(200_000), False, b"", [])
    wire.server.output(1000)
    if is_ours:
        wire.server.reset(stream, 8)
        wire.server.reset(stream, 8)
    else:
        (event,) = wire.send(rst(1, 5))
        assert (event.code, event.is_ours) == (5, False)
    wire.server.send_head(stream, 200, [], 0, b"", True, b"", [])
    wire.server.send_data(stream, b"x", True)
    wire.server.send_trailers(stream, [])
    wire.server.send_informational(stream, 103, [])
    assert [(item.kind, item.payload) for item in wire.read()] == ([(3, b"\0\0\0\x08")] if is_ours else [])
    assert wire.server.running == 1
    wire.server.finished(stream)
    assert wire.server.running == 0
    assert wire.server.is_idle()


def test_an_answer_that_waits_is_told_when_it_is_gone() -> None:
    wire, stream = opened()
    wire.server.send_head(stream, 200, [], 100_000, bytes(100_000), True, b"", [])
    wire.server.finished(stream)
    wire.read()
    assert (stream.is_sent, stream.waiting, stream.sent) == (False, 34_465, 65_535)
    assert not wire.server.is_idle()
    wide(wire)
    assert names(wire.take()) == ["Sent 1"]
    assert stream.is_sent
    assert wire.server.is_idle()


def test_an_answer_that_waits_is_told_when_it_is_lost() -> None:
    wire, stream = opened()
    wire.server.send_head(stream, 200, [], 100_000, bytes(100_000), True, b"", [])
    wire.server.finished(stream)
    assert names(wire.send(rst(1))) == ["Reset 1"]
    assert wire.server.running == 0


def test_a_tunnel_goes_both_ways() -> None:
    wire = Wire()
    wire.send(headers(1, WEBSOCKET, is_end=False))
    stream = wire.streams[1]
    wire.server.send_head(stream, 200, [], -1, b"", False, b"", [])
    (event,) = wire.send(data(1, b"up"))
    wire.server.acknowledge(stream, event.size)
    wire.server.send_data(stream, b"down", False)
    wire.read()
    assert (event.data, wire.client.bodies[1], wire.client.ended) == (b"up", b"down", set())
    assert names(wire.send(data(1, b"", True))) == ["Ended 1"]
    wire.server.send_data(stream, b"", True)
    wire.server.finished(stream)
    assert wire.server.running == 0


# Order (RFC 9218)


def order(wire: Wire, numbers: list[int], most: int = 16384) -> list[int]:
    """Streams of the DATA frames that leave, in order."""
    for number in numbers:
        wire.server.send_head(wire.streams[number], 200, [], 50_000, bytes(50_000), True, b"", [])
    return [item.stream for item in wire.read(most) if item.kind == DATA]


def asked(*priorities: bytes | None) -> Wire:
    wire = wide(Wire())
    for i, priority in enumerate(priorities):
        wire.send(headers(2 * i + 1, GET if priority is None else [*GET, (b"priority", priority)]))
    return wire


@pytest.mark.parametrize(
    ("priorities", "expected"),
    [
        ((None, None), [1, 3, 1, 3, 1, 3, 1, 3]),
        ((b"i", b"i"), [1, 3, 1, 3, 1, 3, 1, 3]),
        ((b"u=3", b"u=3"), [1, 1, 1, 1, 3, 3, 3, 3]),
        ((b"u=5", b"u=1"), [3, 3, 3, 3, 1, 1, 1, 1]),
        ((b"u=4, i", None, b"u=2"), [5, 5, 5, 5, 3, 3, 3, 3, 1, 1, 1, 1]),
    ],
)
def test_the_urgent_go_first(priorities: tuple[bytes | None, ...], expected: list[int]) -> None:
    wire = asked(*priorities)
    assert order(wire, [2 * i + 1 for i in range(len(priorities))]) == expected


def test_a_priority_can_change_on_the_way() -> None:
    wire = asked(b"u=3", b"u=3")
    for number in (1, 3):
        wire.server.send_head(wire.streams[number], 200, [], 50_000, bytes(50_000), True, b"", [])
    wire.client.take(wire.server.output(16384))
    wire.send(frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\x03u=0"))
    sent = [item.stream for item in wire.read(16384) if item.kind == DATA]
    assert sent == [3, 3, 3, 3, 1, 1, 1]


def test_output_gives_about_as_much_as_was_asked_for() -> None:
    wire = wide(Wire())
    wire.send(headers(1))
    wire.server.send_head(wire.streams[1], 200, [], -1, bytes(1_000_000), False, b"", [])
    wire.server.output(0)
    for most in (1, 16384, 16394, 65536, 100_000):
        assert most <= len(wire.server.output(most)) < most + 16384 + 9


def test_a_body_is_queued_as_it_is() -> None:
    """The bytes of a large body are not copied before they leave: the queue holds the very object."""
    import sys

    wire, stream = opened()
    body = bytes(1_000_000)
    before = sys.getrefcount(body)
    wire.server.send_head(stream, 200, [], len(body), body, True, b"", [])
    assert sys.getrefcount(body) == before + 1


# The end


def test_two_steps_lead_out() -> None:
    """G-055, H2-14."""
    wire = Wire()
    wire.send(headers(1))
    wire.server.shut_down()
    wire.read()
    assert wire.client.goaways == [(2**31 - 1, 0)]
    assert names(wire.send(headers(3))) == ["Opened 3"]
    wire.server.go_away()
    wire.server.go_away()
    wire.read()
    assert wire.client.goaways[1:] == [(3, 0)]
    assert names(wire.send(headers(5, POST, is_end=False), data(5, b"x", True))) == ["Refused 5"]
    wire.answer(1)
    wire.answer(3)
    wire.read()
    assert wire.client.resets == {5: 7}
    assert wire.client.ended == {1, 3}
    assert wire.server.is_idle()
    assert wire.error is None


def test_the_last_streams_there_are() -> None:
    """G-055."""
    wire = Wire()
    assert names(wire.send(headers(2**31 - 3), headers(2**31 - 1))) == [
        f"Opened {2**31 - 3}",
        f"Opened {2**31 - 1}",
    ]
    wire.answer(2**31 - 1)
    wire.read()
    assert wire.client.ended == {2**31 - 1}
    assert wire.server.last_id == 2**31 - 1
    wire.send(headers(1))
    assert wire.error is not None


def test_a_client_that_goes_away_may_finish() -> None:
    wire = Wire()
    wire.send(headers(1), goaway())
    assert wire.server.has_goaway
    wire.answer(1)
    wire.read()
    assert 1 in wire.client.ended
    assert names(wire.send(headers(3))) == ["Opened 3"]


def test_failing_says_why_and_then_nothing() -> None:
    wire, stream = opened()
    wire.server.send_head(stream, 200, [], 100_000, bytes(100_000), True, b"", [])
    wire.server.fail(4)
    wire.server.fail(1)
    wire.read()
    assert wire.client.goaways == [(1, 4)]
    assert wire.server.next() is CLOSED
    wire.server.send_data(stream, b"x", True)
    wire.server.shut_down()
    wire.server.go_away()
    wire.server.ping()
    assert wire.read() == []
    wire.server.finished(stream)
    assert wire.server.is_idle()


def test_nothing_is_needed_of_an_empty_connection() -> None:
    wire = Wire()
    assert wire.server.next() is NEED_DATA
    assert wire.server.output(100) == b""
    assert not wire.server.has_output()
    assert wire.server.is_idle()
