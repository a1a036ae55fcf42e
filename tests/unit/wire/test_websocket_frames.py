"""Frames of a client, legal and not, whole, byte by byte and cut at every offset; and ours (threats G-059, G-060)."""

from __future__ import annotations

import itertools

import pytest

from tests.unit.wire.corpus.websocket_frames import BAD_FRAMES, GOOD_FRAMES, MOST
from tests.unit.wire.http1_driver import cuts, single_bytes
from tests.unit.wire.websocket_driver import (
    BINARY,
    KEY,
    TEXT,
    Outcome,
    drive,
    frame,
    masked,
    server_frames,
)
from torana.wire.events import CLOSED, NEED_DATA
from torana.wire.websocket.connection import WebSocketConnection
from torana.wire.websocket.limits import Limits
from torana.wire.websocket.mask import rotated, unmasked, unmasked_text
from torana.wire.websocket.states import LegalityError
from torana.wire.websocket.utf8 import BROKEN, WHOLE, after_text

SMALL = Limits(message_bytes=MOST)


def check_good(outcome: Outcome, events: list[object]) -> None:
    assert outcome.events == events
    assert [type(event) for event in outcome.events] == [type(event) for event in events]
    assert outcome.closed is None
    assert outcome.mark is NEED_DATA


def check_bad(outcome: Outcome, code: int) -> None:
    assert outcome.events[0] == "canary"
    assert "after" not in outcome.events
    assert outcome.closed is not None
    found, reason, is_failure, setting = outcome.closed
    assert (found, is_failure) == (code, True)
    assert reason
    assert setting == ("ws_max_size" if code == 1009 else "")
    assert outcome.mark is CLOSED
    assert server_frames(outcome.output)[-1] == (0x88, code.to_bytes(2, "big") + reason.encode())


@pytest.mark.parametrize(("data", "events"), GOOD_FRAMES.values(), ids=GOOD_FRAMES)
def test_a_good_frame_however_it_is_cut(data: bytes, events: list[object]) -> None:
    check_good(drive([data], SMALL), events)
    check_good(drive(single_bytes(data), SMALL), events)
    for pieces in cuts(data):
        check_good(drive(pieces, SMALL), events)


# G-059, WSP-03, WSP-04, WSP-05, WSP-06
@pytest.mark.parametrize(("data", "code"), BAD_FRAMES.values(), ids=BAD_FRAMES)
def test_a_bad_frame_however_it_is_cut(data: bytes, code: int) -> None:
    data = frame(TEXT, b"canary") + data
    whole = drive([data + frame(TEXT, b"after")], SMALL)
    check_bad(whole, code)
    for pieces in itertools.chain([single_bytes(data)], cuts(data)):
        outcome = drive(pieces, SMALL)
        check_bad(outcome, code)
        assert outcome.closed == whole.closed


def test_all_pairs_in_one_read() -> None:
    for (first, before), (second, after) in itertools.product(GOOD_FRAMES.values(), repeat=2):
        check_good(drive([first + second], SMALL), before + after)


def test_bad_utf8_fails_inside_the_frame() -> None:
    head = b"\x81\xfe\x03\xe8" + KEY
    outcome = drive([head + masked(b"abc\xed\xa0")], SMALL)
    assert outcome.closed is not None
    assert outcome.closed[0] == 1007


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("size", [65535, 65536, 65537, 200_000])
def test_large_messages_in_pieces(opcode: int, size: int) -> None:
    payload = (b"0123456789 \xc3\xa9" * (size // 13 + 1))[: size - 1] + b"."
    if opcode == TEXT:
        payload = payload.replace(b"\xc3.", b"..")
    data = frame(TEXT, b"a") + frame(opcode, payload) + frame(TEXT, b"z")
    wanted = payload.decode() if opcode == TEXT else payload
    for step in (1 << 30, 65536, 16384, 1461, 997):
        outcome = drive(data[at : at + step] for at in range(0, len(data), step))
        assert outcome.events == ["a", wanted, "z"]


def test_reading_may_pause_between_messages() -> None:
    connection = WebSocketConnection(Limits(), None)
    data = b"".join(frame(TEXT, b"%d" % number * 50) for number in range(300))
    for at in range(0, len(data), 700):
        connection.receive(data[at : at + 700], 1.0)
    assert connection.held() == len(data)
    assert [connection.next() for _ in range(300)] == [str(number) * 50 for number in range(300)]
    assert connection.next() is NEED_DATA
    assert connection.held() == 0


@pytest.mark.parametrize("size", [*range(40), 125, 126, 1000])
def test_masks(size: int) -> None:
    payload = bytes((at * 7) & 0x7F for at in range(size))
    number = int.from_bytes(KEY, "big")
    for start in range(9):
        hidden = b"#" * start + masked(payload) + b"##"
        assert unmasked(hidden, start, start + size, number) == payload
        assert unmasked_text(hidden, start, start + size, number) == payload.decode()
    for count in range(min(size, 9)):
        assert unmasked(masked(payload), count, size, rotated(number, count)) == payload[count:]


def is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


#: Some of them make whole whatever can be.
ENDS = [b"", *(bytes((first,)) + b"\x80" * more for first in (0x80, 0x90, 0xA0) for more in range(3))]


def test_utf8_is_judged_as_python_judges_it() -> None:
    edges = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE]
    edges += [0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF]
    for size in (1, 2, 3, 4):
        for parts in itertools.product(edges, repeat=min(size, 3)):
            text = bytes(parts) + b"\x80" * (size - len(parts))
            state = after_text(WHOLE, text, 0, size)
            assert (state == WHOLE) == is_utf8(text), text
            assert (state != BROKEN) == any(is_utf8(text + end) for end in ENDS), text
            stepped = WHOLE
            for at in range(size):
                stepped = after_text(stepped, text, at, at + 1)
            assert stepped == state, text


# What we send

SIZES = [0, 1, 125, 126, 127, 65535, 65536, 70_000]


@pytest.mark.parametrize("size", SIZES)
def test_our_messages(size: int) -> None:
    connection = WebSocketConnection(Limits(), None)
    assert server_frames(connection.text("x" * size)) == [(0x81, b"x" * size)]
    assert server_frames(connection.binary(b"x" * size)) == [(0x82, b"x" * size)]
    for data, first in ((b"x" * size, 0x82), ("x" * size, 0x81)):
        head, payload = connection.parts(data)
        assert server_frames(head + payload) == [(first, b"x" * size)]
    data = b"x" * size
    assert connection.parts(data)[1] is data
    assert server_frames(connection.text("é" * size)) == [(0x81, "é".encode() * size)]


def test_subclasses_and_views_are_taken() -> None:
    class Safe(str):
        pass

    class Blob(bytes):
        pass

    connection = WebSocketConnection(Limits(), None)
    assert connection.text(Safe("é")) == connection.text("é")
    assert connection.binary(Blob(b"a")) == connection.binary(b"a")
    assert connection.binary(memoryview(b"a")) == connection.binary(bytearray(b"a"))  # type: ignore[arg-type]
    assert connection.parts(Safe("a")) == connection.parts("a")
    assert connection.parts(Blob(b"a")) == connection.parts(b"a")


def test_lone_surrogates_are_the_applications_error() -> None:
    connection = WebSocketConnection(Limits(), None)
    for send in (connection.text, connection.parts):
        with pytest.raises(UnicodeEncodeError):
            send("\ud800")
    assert server_frames(connection.text("fine")) == [(0x81, b"fine")]


def test_a_ping_of_ours_is_bounded() -> None:
    connection = WebSocketConnection(Limits(), None)
    assert server_frames(connection.ping(b"x" * 125)) == [(0x89, b"x" * 125)]
    with pytest.raises(ValueError):
        connection.ping(b"x" * 126)
    connection.close(1000, "")
    assert connection.ping(b"") == b""
    for send, data in ((connection.text, "a"), (connection.binary, b"a"), (connection.parts, b"a")):
        with pytest.raises(LegalityError):
            send(data)  # type: ignore[operator]
