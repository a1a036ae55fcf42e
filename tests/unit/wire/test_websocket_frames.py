"""Frames of a client, legal and not, whole, byte by byte and cut at every offset; and ours (threats G-059, G-060)."""

from __future__ import annotations

import itertools

import pytest

from tests.unit.wire.http1_driver import cuts, single_bytes
from tests.unit.wire.websocket_driver import (
    BINARY,
    CLOSE,
    COMPRESSED,
    CONTINUATION,
    KEY,
    PING,
    PONG_FRAME,
    TEXT,
    Outcome,
    close,
    drive,
    frame,
    masked,
    server_frames,
)
from torana.wire.events import CLOSED, NEED_DATA
from torana.wire.websocket.connection import PONG, WebSocketConnection
from torana.wire.websocket.limits import Limits
from torana.wire.websocket.mask import rotated, unmasked, unmasked_text
from torana.wire.websocket.states import LegalityError
from torana.wire.websocket.utf8 import BROKEN, WHOLE, after_text

SMALL = Limits(message_bytes=1000)

# What comes, and the events that follow.
GOOD: dict[str, tuple[bytes, list[object]]] = {
    "text": (frame(TEXT, b"Hello"), ["Hello"]),
    "the rfc's own": (bytes.fromhex("818537fa213d7f9f4d5158"), ["Hello"]),
    "text beyond ascii": (frame(TEXT, "ré, 日本, 🎉".encode()), ["ré, 日本, 🎉"]),
    "empty text": (frame(TEXT), [""]),
    "text of one byte": (frame(TEXT, b"x"), ["x"]),
    "binary": (frame(BINARY, b"\x00\xff\x80"), [b"\x00\xff\x80"]),
    "empty binary": (frame(BINARY), [b""]),
    "a zero key": (frame(TEXT, b"plain", key=b"\0\0\0\0"), ["plain"]),
    "125 bytes": (frame(BINARY, b"x" * 125), [b"x" * 125]),
    "126 bytes": (frame(BINARY, b"x" * 126), [b"x" * 126]),
    "the limit": (frame(TEXT, b"x" * 1000), ["x" * 1000]),
    "two": (frame(TEXT, b"a") + frame(BINARY, b"b"), ["a", b"b"]),
    "fragments": (
        frame(TEXT, b"Hel", fin=False) + frame(CONTINUATION, b"l", fin=False) + frame(CONTINUATION, b"o"),
        ["Hello"],
    ),
    "binary fragments": (frame(BINARY, b"\xff", fin=False) + frame(CONTINUATION, b"\xfe"), [b"\xff\xfe"]),
    "empty fragments": (
        frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) + frame(CONTINUATION) + frame(TEXT, b"z"),
        ["", "z"],
    ),
    "a character over fragments": (
        b"".join(frame(CONTINUATION if at else TEXT, "🎉".encode()[at : at + 1], fin=at == 3) for at in range(4)),
        ["🎉"],
    ),
    "pings and pongs between fragments": (
        frame(TEXT, b"a", fin=False) + frame(PING, b"?") + frame(PONG_FRAME) + frame(CONTINUATION, b"b"),
        [PONG, "ab"],
    ),
    "pong": (frame(PONG_FRAME, b"x" * 125), [PONG]),
    "fragments up to the limit": (
        frame(BINARY, b"x" * 600, fin=False) + frame(CONTINUATION, b"x" * 400),
        [b"x" * 1000],
    ),
    "sizes around eight": (
        b"".join(frame(BINARY, bytes(range(size))) for size in range(20)),
        [bytes(range(size)) for size in range(20)],
    ),
}

# What comes, and the code with which the connection is failed; after a good message.
BAD: dict[str, tuple[bytes, int]] = {
    "unmasked": (bytes.fromhex("810161"), 1002),
    "unmasked ping": (bytes.fromhex("8900"), 1002),
    "unmasked close": (bytes.fromhex("880203e8"), 1002),
    "rsv1 without deflate": (bytes.fromhex("c1810000000061"), 1002),
    "rsv2": (frame(TEXT, b"a", bits=0x20), 1002),
    "rsv3": (frame(TEXT, b"a", bits=0x10), 1002),
    "rsv1 on a ping": (frame(PING, b"a", bits=COMPRESSED), 1002),
    **{f"opcode {opcode:X}": (frame(opcode, b"a"), 1002) for opcode in (3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF)},
    "long ping": (b"\x89\xfe\x00\x7e" + KEY + masked(b"x" * 126), 1002),
    "long ping, its head only": (b"\x89\xfe", 1002),
    "long pong": (b"\x8a\xff" + (1 << 40).to_bytes(8, "big"), 1002),
    "long close": (b"\x88\xfe\x00\x7e" + KEY + masked(b"\x03\xe8" + b"x" * 124), 1002),
    "fragmented ping": (frame(PING, fin=False), 1002),
    "fragmented pong": (frame(PONG_FRAME, fin=False), 1002),
    "fragmented close": (frame(CLOSE, b"\x03\xe8", fin=False), 1002),
    "stray continuation": (frame(CONTINUATION, b"a"), 1002),
    "stray continuation, not final": (frame(CONTINUATION, b"a", fin=False), 1002),
    "text in a message": (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
    "binary in a message": (frame(BINARY, b"a", fin=False) + frame(BINARY, b"b", fin=False), 1002),
    "continuation after the end": (
        frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b") + frame(CONTINUATION, b"c"),
        1002,
    ),
    "long length": (b"\x82\xfe\x00\x05" + KEY + masked(b"abcde"), 1002),
    "long length, 125": (b"\x82\xfe\x00\x7d", 1002),
    "longer length": (b"\x82\xff" + (5).to_bytes(8, "big") + KEY + masked(b"abcde"), 1002),
    "longer length, 65535": (b"\x82\xff" + (65535).to_bytes(8, "big"), 1002),
    "top bit": (b"\x82\xff\x80" + b"\0" * 7, 1002),
    "all bits": (b"\x82\xff" + b"\xff" * 8, 1002),
    "bad utf-8": (frame(TEXT, b"a\xff"), 1007),
    "cut character": (frame(TEXT, "é".encode()[:1]), 1007),
    "cut character in fragments": (frame(TEXT, b"\xf0\x9f", fin=False) + frame(CONTINUATION, b"\x8e"), 1007),
    "overlong": (frame(TEXT, b"\xc0\xaf"), 1007),
    "surrogate": (frame(TEXT, b"\xed\xa0\x80"), 1007),
    "surrogate over fragments": (frame(TEXT, b"\xed", fin=False) + frame(CONTINUATION, b"\xa0\x80"), 1007),
    "beyond unicode": (frame(TEXT, b"\xf4\x90\x80\x80"), 1007),
    "too large": (frame(BINARY, b"x" * 1001), 1009),
    "too large, its head only": (b"\x82\xfe\x03\xe9", 1009),
    "2^62": (b"\x82\xff\x40" + b"\0" * 7, 1009),
    "2^63-1": (b"\x82\xff\x7f" + b"\xff" * 7, 1009),
    "fragments too large": (frame(BINARY, b"x" * 600, fin=False) + b"\x80\xfe\x01\x91", 1009),
    "fragments of 2^63-1": (frame(BINARY, b"x", fin=False) + b"\x80\xff\x7f" + b"\xff" * 7, 1009),
    "close of one byte": (frame(CLOSE, b"\x03"), 1002),
    "close with a bad reason": (close(1000, b"\xff"), 1007),
    "close with a cut reason": (close(1000, "é".encode()[:1]), 1007),
}

LEGAL_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
ILLEGAL_CODES = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 32768, 65535]
BAD |= {f"close {code}": (close(code, b"why"), 1002) for code in ILLEGAL_CODES}


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


@pytest.mark.parametrize(("data", "events"), GOOD.values(), ids=GOOD)
def test_a_good_frame_however_it_is_cut(data: bytes, events: list[object]) -> None:
    check_good(drive([data], SMALL), events)
    check_good(drive(single_bytes(data), SMALL), events)
    for pieces in cuts(data):
        check_good(drive(pieces, SMALL), events)


# G-059, WSP-03, WSP-04, WSP-05, WSP-06
@pytest.mark.parametrize(("data", "code"), BAD.values(), ids=BAD)
def test_a_bad_frame_however_it_is_cut(data: bytes, code: int) -> None:
    data = frame(TEXT, b"canary") + data
    whole = drive([data + frame(TEXT, b"after")], SMALL)
    check_bad(whole, code)
    for pieces in itertools.chain([single_bytes(data)], cuts(data)):
        outcome = drive(pieces, SMALL)
        check_bad(outcome, code)
        assert outcome.closed == whole.closed


def test_all_pairs_in_one_read() -> None:
    for (first, before), (second, after) in itertools.product(GOOD.values(), repeat=2):
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
    assert not connection.is_unfinished()


def test_what_is_unfinished_is_known() -> None:
    data = frame(TEXT, b"ab", fin=False) + frame(CONTINUATION, b"cd")
    connection = WebSocketConnection(Limits(), None)
    assert not connection.is_unfinished()
    for at in range(len(data) - 1):
        connection.receive(data[at : at + 1], 1.0)
        assert connection.next() is NEED_DATA
        assert connection.is_unfinished()
    connection.receive(data[-1:], 1.0)
    assert connection.next() == "abcd"
    assert not connection.is_unfinished()


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
