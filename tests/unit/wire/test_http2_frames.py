"""What a wrong frame leads to: exactly the code of RFC 9113, however the bytes come (threats G-046, G-051; H2-12)."""

from __future__ import annotations

import sys

import pytest

from tests.support.http2 import (
    ACK,
    DATA,
    END_HEADERS,
    GET,
    HEADERS,
    POST,
    PREFACE,
    PRIORITY,
    SETTINGS,
    WINDOW_UPDATE,
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
from tests.unit.wire.corpus.http2_case import FLOW, STREAM_CLOSED, Case
from tests.unit.wire.corpus.http2_frames import FATAL, FIRST, HARMLESS, SERVED, STREAM
from torana.wire.events import CLOSED
from torana.wire.http2.limits import Limits

HELLO = PREFACE + settings()
OPEN_1 = headers(1, POST, is_end=False)
GET_1 = headers(1)


def named(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


def bytewise(raw: bytes) -> list[bytes]:
    return [raw[i : i + 1] for i in range(len(raw))]


def deliveries(raw: bytes) -> list[list[bytes]]:
    """Whole, byte by byte, and cut at every offset (at every 97th of what is long)."""
    step = 1 if len(raw) < 400 else max(97, len(raw) // 40)
    cuts = [[raw[:i], raw[i:]] for i in range(1, len(raw), step)]
    return [[raw], *([bytewise(raw)] if len(raw) < 40_000 else []), *cuts]


@named(FATAL)
def test_a_connection_error_has_its_code_and_ends_everything(case: Case) -> None:
    seen = set()
    for pieces in deliveries(case.data):
        wire = Wire()
        wire.send(*pieces)
        assert wire.error is not None
        assert wire.error.code == case.goaway
        seen.add(wire.error.reason)
        wire.read()
        assert [sent for _, sent in wire.client.goaways] == [case.goaway]
        # Not one byte more is parsed (invariant I2).
        assert wire.send(headers(101)) == []
        assert wire.server.next() is CLOSED
        assert wire.read() == []
    assert len(seen) == 1


@named(FIRST)
def test_the_preface_and_settings_come_first(case: Case) -> None:
    for pieces in deliveries(case.data):
        wire = Wire(is_begun=False)
        assert wire.send(*pieces) == []
        assert wire.error is not None
        assert wire.error.code == case.goaway


def test_a_wrong_preface_is_known_at_its_first_wrong_byte() -> None:
    wire = Wire(is_begun=False)
    wire.send(b"PRI * HTTP/1")
    assert wire.error is not None
    assert wire.error.reason == "bad-preface"


@named(STREAM)
def test_a_stream_error_has_its_code_and_spares_the_others(case: Case) -> None:
    expected = case.events
    for pieces in deliveries(case.data):
        wire = Wire()
        events = names(wire.send(*pieces))
        # Bodies come in as many pieces as they were received in.
        assert [name for i, name in enumerate(events) if name[:4] != "Body" or events[i - 1] != name] == [
            name for i, name in enumerate(expected) if name[:4] != "Body" or expected[i - 1] != name
        ]
        assert wire.error is None
        wire.read()
        assert wire.client.resets == {3: case.reset}
        assert names(wire.send(headers(101))) == ["Opened 101"]


@named([*HARMLESS, *SERVED])
def test_what_is_odd_but_legal_passes(case: Case) -> None:
    for pieces in deliveries(case.data):
        wire = Wire()
        wire.send(*pieces)
        assert wire.error is None
        assert names(wire.send(headers(101))) == ["Opened 101"]


def test_a_connection_has_a_window_too() -> None:
    wire = Wire(Limits(stream_window_bytes=70_000, connection_window_bytes=70_000))
    wire.server.is_generous = False
    wire.send(headers(1, POST, is_end=False), *[data(1, bytes(10_000))] * 7)
    assert wire.error is None
    wire.send(headers(3, POST, is_end=False), data(3, b"x"))
    assert wire.error is not None
    assert wire.error.code == FLOW


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


def test_what_was_received_is_not_kept_once_it_is_used_up() -> None:
    """A connection may be idle for as long as its clients like, and there are many."""
    wire = Wire()
    for stream, body in ((1, b""), (3, b"x" * 10_000)):
        # Fresh objects, that nobody else holds.
        held = bytes(bytearray(headers(stream, POST, is_end=False) + data(stream, body, True)))
        before = sys.getrefcount(held)
        wire.send(held)
        assert sys.getrefcount(held) == before
