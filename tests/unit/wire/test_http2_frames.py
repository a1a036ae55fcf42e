"""What a wrong frame leads to: exactly the code of RFC 9113, however the bytes come (threats G-046, G-051; H2-12)."""

from __future__ import annotations

import pytest

from tests.support.http2 import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GET,
    GOAWAY,
    HAS_PRIORITY,
    HEADERS,
    PADDED,
    PING,
    POST,
    PREFACE,
    PRIORITY,
    PRIORITY_UPDATE,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
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
from torana.wire.events import CLOSED

PROTOCOL, FLOW, STREAM_CLOSED, SIZE, REFUSED, COMPRESSION, CALM = 1, 3, 5, 6, 7, 9, 11
HELLO = PREFACE + settings()
OPEN_1 = headers(1, POST, is_end=False)
GET_1 = headers(1)
TOP = 2**31 - 1

#: Bytes after the handshake, the code of GOAWAY.
FATAL = {
    "data on stream 0": (data(0, b"x"), PROTOCOL),
    "headers on stream 0": (headers(0), PROTOCOL),
    "headers on an even stream": (headers(2), PROTOCOL),
    "data on an idle stream": (data(1, b"x"), PROTOCOL),
    "data on an even stream": (data(2, b"x"), PROTOCOL),
    "a lower stream number": (headers(5) + headers(3), PROTOCOL),
    "rst on an idle stream": (rst(1), PROTOCOL),
    "rst on stream 0": (rst(0), PROTOCOL),
    "rst of 3 bytes": (GET_1 + frame(RST_STREAM, 0, 1, b"\0\0\0"), SIZE),
    "rst of 5 bytes": (GET_1 + frame(RST_STREAM, 0, 1, b"\0\0\0\0\0"), SIZE),
    "window update on an idle stream": (update(1, 1), PROTOCOL),
    "window update of 3 bytes": (frame(WINDOW_UPDATE, 0, 0, b"\0\0\1"), SIZE),
    "window update 0 of the connection": (update(0, 0), PROTOCOL),
    "window update 0 but for the reserved bit": (update(0, 1 << 31), PROTOCOL),
    "window update beyond 2^31-1": (update(0, TOP), FLOW),
    "push promise": (frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2" + block(GET)), PROTOCOL),
    "ping of 7 bytes": (ping(b"1234567"), SIZE),
    "ping of 9 bytes": (ping(b"123456789"), SIZE),
    "ping on a stream": (frame(PING, 0, 1, b"12345678"), PROTOCOL),
    "goaway on a stream": (frame(GOAWAY, 0, 1, bytes(8)), PROTOCOL),
    "goaway of 7 bytes": (frame(GOAWAY, 0, 0, bytes(7)), SIZE),
    "priority on stream 0": (frame(PRIORITY, 0, 0, bytes(5)), PROTOCOL),
    "priority of 4 bytes on an idle stream": (frame(PRIORITY, 0, 1, bytes(4)), SIZE),
    "priority on itself on an idle stream": (frame(PRIORITY, 0, 1, b"\0\0\0\1\xff"), PROTOCOL),
    "priority update on a stream": (frame(PRIORITY_UPDATE, 0, 1, b"\0\0\0\1u=1"), PROTOCOL),
    "priority update of 3 bytes": (frame(PRIORITY_UPDATE, 0, 0, b"\0\0\1"), SIZE),
    "priority update of stream 0": (frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\0u=1"), PROTOCOL),
    "continuation alone": (frame(CONTINUATION, END_HEADERS, 1, block(GET)), PROTOCOL),
    "continuation after a whole block": (GET_1 + frame(CONTINUATION, END_HEADERS, 1), PROTOCOL),
    "continuation of another stream": (frame(HEADERS, 0, 1) + frame(CONTINUATION, END_HEADERS, 3), PROTOCOL),
    "ping within a block": (frame(HEADERS, 0, 1, block(GET)) + ping(), PROTOCOL),
    "unknown frame within a block": (frame(HEADERS, 0, 1, block(GET)) + frame(0xEE, 0, 0), PROTOCOL),
    "headers within a block": (frame(HEADERS, 0, 1, block(GET)) + headers(3), PROTOCOL),
    "data within a block": (OPEN_1 + frame(HEADERS, 0, 3, block(GET)) + data(1, b"x"), PROTOCOL),
    "a frame of 16385 bytes": (OPEN_1 + data(1, bytes(16385)), SIZE),
    "headers of 16385 bytes": (headers(1, [*GET, (b"x", bytes(16385))]), SIZE),
    "an unknown frame of 16385 bytes": (frame(0xEE, 0, 0, bytes(16385)), SIZE),
    "data with more padding than payload": (OPEN_1 + frame(DATA, PADDED, 1, b"\x05abcd"), PROTOCOL),
    "padded data of no bytes": (OPEN_1 + frame(DATA, PADDED, 1), SIZE),
    "headers with more padding than payload": (frame(HEADERS, PADDED | END_HEADERS, 1, b"\x05abcd"), PROTOCOL),
    "padded headers of no bytes": (frame(HEADERS, PADDED | END_HEADERS, 1), SIZE),
    "headers too short for a priority": (frame(HEADERS, HAS_PRIORITY | END_HEADERS, 1, b"\0\0\0\0"), SIZE),
    "settings on a stream": (settings(stream=1), PROTOCOL),
    "settings of 5 bytes": (frame(SETTINGS, 0, 0, bytes(5)), SIZE),
    "acknowledgement with a payload": (frame(SETTINGS, ACK, 0, bytes(6)), SIZE),
    "enable push 2": (settings((2, 2)), PROTOCOL),
    "initial window of 2^31": (settings((4, 1 << 31)), FLOW),
    "frame size 1": (settings((5, 1)), PROTOCOL),
    "frame size 2^24": (settings((5, 1 << 24)), PROTOCOL),
    "no priorities 2": (settings((9, 2)), PROTOCOL),
    "33 settings": (settings(*[(6, 1)] * 33), CALM),
    "initial window that overflows a stream": (
        OPEN_1 + update(1, TOP - 65535) + settings((4, 65536)),
        FLOW,
    ),
    "hpack index 0": (frame(HEADERS, END_HEADERS, 1, b"\x80"), COMPRESSION),
    "hpack index beyond the table": (frame(HEADERS, END_HEADERS, 1, b"\xff\x00"), COMPRESSION),
    "hpack cut in a literal": (frame(HEADERS, END_HEADERS, 1, b"\x00\x05ab"), COMPRESSION),
    "hpack broken in a block of a dead stream": (
        OPEN_1 + rst(1) + frame(HEADERS, END_HEADERS, 1, b"\x80"),
        COMPRESSION,
    ),
    "more data than the connection's window": (
        b"".join(headers(number, POST, is_end=False) for number in range(1, 11, 2))
        + b"".join(data(number, bytes(16384)) for number in range(1, 11, 2) for _ in range(16)),
        FLOW,
    ),
}

#: Before anything else was said.
FIRST = {
    "another protocol": (b"GET / HTTP/1.1\r\n\r\n", PROTOCOL),
    "a wrong end": (PREFACE[:-1] + b"x" + settings(), PROTOCOL),
    "ping first": (PREFACE + ping(), PROTOCOL),
    "headers first": (PREFACE + headers(1), PROTOCOL),
    "an acknowledgement first": (PREFACE + settings(flags=ACK), PROTOCOL),
}

#: Bytes, stream, code of RST_STREAM, the events they lead to; another stream goes on as if nothing had been.
STREAM = {
    "data after the end": (GET_1 + data(1, b"x"), 1, STREAM_CLOSED, ["Opened 1", "Reset 1"]),
    "headers after the end": (GET_1 + headers(1), 1, STREAM_CLOSED, ["Opened 1", "Reset 1"]),
    "data after their reset": (OPEN_1 + rst(1) + data(1, b"x"), 1, STREAM_CLOSED, ["Opened 1", "Reset 1"]),
    "headers after their reset": (OPEN_1 + rst(1) + headers(1), 1, STREAM_CLOSED, ["Opened 1", "Reset 1"]),
    "window update 0": (OPEN_1 + update(1, 0), 1, PROTOCOL, ["Opened 1", "Reset 1"]),
    "window update beyond 2^31-1": (OPEN_1 + update(1, TOP), 1, FLOW, ["Opened 1", "Reset 1"]),
    "priority of 4 bytes": (OPEN_1 + frame(PRIORITY, 0, 1, bytes(4)), 1, SIZE, ["Opened 1", "Reset 1"]),
    "priority on itself": (OPEN_1 + frame(PRIORITY, 0, 1, b"\0\0\0\1\xff"), 1, PROTOCOL, ["Opened 1", "Reset 1"]),
    "headers that depend on themselves": (
        frame(HEADERS, HAS_PRIORITY | END_HEADERS | END_STREAM, 1, b"\0\0\0\1\xff" + block(GET)),
        1,
        PROTOCOL,
        ["Refused 1"],
    ),
    "more data than the stream's window": (
        OPEN_1 + data(1, bytes(16384)) * 16 + data(1, b"x"),
        1,
        FLOW,
        ["Opened 1", *["Body 1"] * 16, "Reset 1"],
    ),
    "trailers without an end": (
        OPEN_1 + headers(1, [(b"a", b"b")], is_end=False),
        1,
        PROTOCOL,
        ["Opened 1", "Reset 1"],
    ),
    "trailers with a pseudo-field": (OPEN_1 + headers(1, [(b":path", b"/")]), 1, PROTOCOL, ["Opened 1", "Reset 1"]),
    "trailers that frame": (
        OPEN_1 + headers(1, [(b"content-length", b"0")]),
        1,
        PROTOCOL,
        ["Opened 1", "Reset 1"],
    ),
}

#: Odd, and legal.
HARMLESS = {
    "unknown frame": frame(0xEE, 0xFF, 7, b"abc"),
    "reserved bit": frame(PING, 0, 1 << 31, b"12345678"),
    "unknown setting": settings((0xABCD, 5)),
    "unknown flags": frame(PING, 0xFE, 0, b"12345678"),
    "priority on an idle stream": frame(PRIORITY, 0, 9, b"\0\0\0\3\xff"),
    "priority of a closed stream": rst(1) + frame(PRIORITY, 0, 1, b"\0\0\0\3\xff"),
    "window update on a closed stream": rst(1) + update(1, 5),
    "a second reset": rst(1) + rst(1),
    "goaway": goaway(),
    "an acknowledgement too many": settings(flags=ACK),
    "a pong that nobody asked for": ping(flags=ACK),
    "priority update": frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\1u=0, i"),
    "priority update of nonsense": frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\1\xff\x00u=99,,"),
    "block in pieces": frame(HEADERS, 0, 3, block(GET)[:5]) + frame(CONTINUATION, END_HEADERS, 3, block(GET)[5:]),
}


def bytewise(raw: bytes) -> list[bytes]:
    return [raw[i : i + 1] for i in range(len(raw))]


def deliveries(raw: bytes) -> list[list[bytes]]:
    """Whole, byte by byte, and cut at every offset (at every 97th of what is long)."""
    step = 1 if len(raw) < 400 else max(97, len(raw) // 40)
    cuts = [[raw[:i], raw[i:]] for i in range(1, len(raw), step)]
    return [[raw], *([bytewise(raw)] if len(raw) < 40_000 else []), *cuts]


@pytest.mark.parametrize("case", FATAL, ids=str)
def test_a_connection_error_has_its_code_and_ends_everything(case: str) -> None:
    raw, code = FATAL[case]
    seen = set()
    for pieces in deliveries(raw):
        wire = Wire()
        wire.send(*pieces)
        assert wire.error is not None
        assert wire.error.code == code
        seen.add(wire.error.reason)
        wire.read()
        assert [sent for _, sent in wire.client.goaways] == [code]
        # Not one byte more is parsed (invariant I2).
        assert wire.send(headers(101)) == []
        assert wire.server.next() is CLOSED
        assert wire.read() == []
    assert len(seen) == 1


@pytest.mark.parametrize("case", FIRST, ids=str)
def test_the_preface_and_settings_come_first(case: str) -> None:
    raw, code = FIRST[case]
    for pieces in deliveries(raw):
        wire = Wire(is_begun=False)
        assert wire.send(*pieces) == []
        assert wire.error is not None
        assert wire.error.code == code


def test_a_wrong_preface_is_known_at_its_first_wrong_byte() -> None:
    wire = Wire(is_begun=False)
    wire.send(b"PRI * HTTP/1")
    assert wire.error is not None
    assert wire.error.reason == "bad-preface"


@pytest.mark.parametrize("case", STREAM, ids=str)
def test_a_stream_error_has_its_code_and_spares_the_others(case: str) -> None:
    raw, stream, code, expected = STREAM[case]
    for pieces in deliveries(raw):
        wire = Wire()
        events = names(wire.send(*pieces))
        # Bodies come in as many pieces as they were received in.
        assert [name for i, name in enumerate(events) if name[:4] != "Body" or events[i - 1] != name] == [
            name for i, name in enumerate(expected) if name[:4] != "Body" or expected[i - 1] != name
        ]
        assert wire.error is None
        wire.read()
        assert wire.client.resets == {stream: code}
        assert names(wire.send(headers(101))) == ["Opened 101"]


@pytest.mark.parametrize("case", HARMLESS, ids=str)
def test_what_is_odd_but_legal_passes(case: str) -> None:
    for pieces in deliveries(OPEN_1 + HARMLESS[case]):
        wire = Wire()
        wire.send(*pieces)
        assert wire.error is None
        assert names(wire.send(headers(101))) == ["Opened 101"]


@pytest.mark.parametrize("kind", [DATA, HEADERS])
def test_what_comes_after_both_ends_breaks_the_connection(kind: int) -> None:
    wire = Wire()
    wire.send(GET_1)
    wire.answer(1)
    wire.send(frame(kind, END_HEADERS if kind == HEADERS else 0, 1, block(GET)))
    assert wire.error is not None
    assert wire.error.code == STREAM_CLOSED


def test_what_comes_after_our_reset_is_dropped_without_a_word() -> None:
    wire = Wire()
    wire.send(OPEN_1)
    wire.server.reset(wire.streams[1], 8)
    wire.read()
    late = data(1, b"x" * 100) + headers(1, [(b"a", b"b")]) + update(1, 0) + rst(1) + frame(PRIORITY, 0, 1, bytes(5))
    assert wire.send(late) == []
    assert wire.error is None
    assert wire.read() == []


def test_a_ping_is_answered_and_ours_is_told() -> None:
    wire = Wire()
    wire.send(ping(b"abcdefgh"))
    assert [(item.flags, item.payload) for item in wire.read()] == [(ACK, b"abcdefgh")]
    wire.server.ping()
    wire.server.ping()
    (asked,) = wire.read()
    assert names(wire.send(ping(asked.payload, ACK))) == ["PINGED"]
    assert wire.send(ping(asked.payload, ACK)) == []


def test_our_settings_say_what_we_do() -> None:
    wire = Wire(is_begun=False)
    first, second = wire.read()
    values = {
        int.from_bytes(first.payload[i : i + 2], "big"): int.from_bytes(first.payload[i + 2 : i + 6], "big")
        for i in range(0, len(first.payload), 6)
    }
    assert values == {3: 128, 4: 256 * 1024, 6: 65536, 8: 1, 9: 1}
    assert (second.kind, second.stream, second.number) == (WINDOW_UPDATE, 0, 1024 * 1024 - 65535)
    assert not wire.server.is_settled
    wire.send(HELLO)
    assert [(item.kind, item.flags) for item in wire.read()] == [(SETTINGS, ACK)]
    wire.send(settings(flags=ACK))
    assert wire.server.is_settled


def test_the_end_between_frames_or_in_one_is_no_error() -> None:
    for raw in (b"", headers(1)[:5], data(1, b"abc")[:10], PREFACE[:3]):
        wire = Wire(is_begun=raw != PREFACE[:3])
        if wire.server.is_settled:
            wire.send(OPEN_1)
        if raw:
            wire.send(raw)
        wire.server.receive_eof()
        assert not [event for event in wire.take() if type(event).__name__ != "Body"]
        assert wire.is_closed
        assert wire.error is None
