"""Frames of a client, legal and not, and compressed messages: what comes of each (threats G-059 to G-062).

For a connection whose messages may have ``MOST`` bytes. In memory: ``test_websocket_frames`` and ``_deflate``; on
sockets: ``tests/threats/test_websocket_corpus``.
"""

from __future__ import annotations

import zlib

from tests.unit.wire.websocket_driver import (
    BINARY,
    CLOSE,
    COMPRESSED,
    CONTINUATION,
    KEY,
    PING,
    PONG_FRAME,
    TEXT,
    close,
    frame,
    masked,
)
from torana.wire.websocket.connection import PONG

MOST = 1000

# What comes, and the events that follow.
GOOD_FRAMES: dict[str, tuple[bytes, list[object]]] = {
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
BAD_FRAMES: dict[str, tuple[bytes, int]] = {
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
BAD_FRAMES |= {f"close {code}": (close(code, b"why"), 1002) for code in ILLEGAL_CODES}


class Compressor:
    """A client's."""

    def __init__(self, bits: int = 15, has_takeover: bool = True) -> None:
        self._bits = bits
        self._has_takeover = has_takeover
        self._stream = zlib.compressobj(9, zlib.DEFLATED, -bits)

    def __call__(self, data: bytes) -> bytes:
        whole = self._stream.compress(data) + self._stream.flush(zlib.Z_SYNC_FLUSH)
        if not self._has_takeover:
            self._stream = zlib.compressobj(9, zlib.DEFLATED, -self._bits)
        return whole[:-4]


def packed(data: bytes) -> bytes:
    return Compressor()(data)


def final(data: bytes) -> bytes:
    """``data`` in a stream that ends (BFINAL)."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    return stream.compress(data) + stream.flush()


def after_another(data: bytes) -> bytes:
    """``data`` compressed as a repeat of what the receiver never got."""
    compress = Compressor()
    compress(data)
    return compress(data)


# WSP-10, section 7.2.3: frames, and the events that follow.
GOOD_COMPRESSED: dict[str, tuple[bytes, list[object]]] = {
    "the rfc's own": (frame(TEXT, bytes.fromhex("f248cdc9c90700"), bits=COMPRESSED), ["Hello"]),
    "the rfc's own, stored": (frame(TEXT, bytes.fromhex("000500faff48656c6c6f00"), bits=COMPRESSED), ["Hello"]),
    "the rfc's own, final": (frame(TEXT, bytes.fromhex("f348cdc9c9070000"), bits=COMPRESSED), ["Hello"]),
    "the rfc's own, two blocks": (frame(TEXT, bytes.fromhex("f24805000000ffffcac9c90700"), bits=COMPRESSED), ["Hello"]),
    "empty": (frame(TEXT, b"\x00", bits=COMPRESSED), [""]),
    "empty, without a block": (frame(BINARY, bits=COMPRESSED), [b""]),
    "empty, final": (frame(BINARY, b"\x03\x00", bits=COMPRESSED), [b""]),
    "final without a block after it": (frame(TEXT, final(b"Hello"), bits=COMPRESSED), ["Hello"]),
    "messages after a final one": (
        frame(TEXT, final(b"Hello") + b"\x00", bits=COMPRESSED) * 2 + frame(TEXT, packed(b"again"), bits=COMPRESSED),
        ["Hello", "Hello", "again"],
    ),
    "streams in a row": (frame(TEXT, final(b"He") + final(b"llo"), bits=COMPRESSED), ["Hello"]),
    "fragments": (
        frame(TEXT, packed(b"Hello")[:3], bits=COMPRESSED, fin=False)
        + frame(PING, b"?")
        + frame(CONTINUATION, b"", fin=False)
        + frame(CONTINUATION, packed(b"Hello")[3:]),
        ["Hello"],
    ),
    "uncompressed": (frame(TEXT, b"Hello") + frame(TEXT, packed(b"Hello"), bits=COMPRESSED), ["Hello", "Hello"]),
    "beyond ascii": (frame(TEXT, packed("日本🎉".encode()), bits=COMPRESSED), ["日本🎉"]),
}

BAD_COMPRESSED: dict[str, tuple[bytes, int]] = {
    "rsv1 on a ping": (frame(PING, bits=COMPRESSED), 1002),
    "rsv1 on a close": (close(1000).replace(b"\x88", b"\xc8"), 1002),
    "rsv1 on a continuation": (
        frame(TEXT, packed(b"Hello")[:3], bits=COMPRESSED, fin=False)
        + frame(CONTINUATION, packed(b"Hello")[3:], bits=COMPRESSED),
        1002,
    ),
    "rsv1 on a continuation of a plain one": (
        frame(TEXT, b"a", fin=False) + frame(CONTINUATION, packed(b"b"), bits=COMPRESSED),
        1002,
    ),
    "rsv1 and rsv2": (frame(TEXT, packed(b"a"), bits=COMPRESSED | 0x20), 1002),
    "no deflate": (frame(BINARY, b"\xff" * 20, bits=COMPRESSED), 1007),
    "bad stored length": (frame(BINARY, b"\x00\x05\x00\x00\x00Hello", bits=COMPRESSED), 1007),
    "too far back": (frame(BINARY, after_another(b"far back"), bits=COMPRESSED), 1007),
    "bad utf-8": (frame(TEXT, packed(b"abc\xed\xa0\x80"), bits=COMPRESSED), 1007),
    "cut character": (frame(TEXT, packed(b"abc\xe2\x82"), bits=COMPRESSED), 1007),
    "too large": (frame(BINARY, packed(b"x" * 1001), bits=COMPRESSED), 1009),
    "much too large": (frame(TEXT, packed(b"x" * 1_000_000), bits=COMPRESSED), 1009),
    "too large together": (
        frame(BINARY, packed(b"x" * 2000)[:6], bits=COMPRESSED, fin=False)
        + frame(CONTINUATION, packed(b"x" * 2000)[6:]),
        1009,
    ),
    "bad utf-8 first, then too large": (frame(TEXT, packed(b"\xff" + b"x" * 2000), bits=COMPRESSED), 1007),
    "streams without end": (frame(BINARY, b"\x03\x00" * 500, bits=COMPRESSED), 1007),
    "empty blocks without end": (frame(BINARY, b"\x00\x00\x00\xff\xff" * 300, bits=COMPRESSED), 1009),
}
