"""Frames that are wrong, or come at the wrong time, and odd ones that are right (threats G-041, G-044, G-046, G-051).

The sections that h2spec tests (its own numbers: generic 1 to 5; http2 3.5 to 8.2; hpack 2.3.3 to 6.3) are covered
here, in ``http2_heads`` and in ``http2_blocks``.
"""

from __future__ import annotations

from tests.support.http2 import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
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
    block,
    data,
    frame,
    goaway,
    headers,
    ping,
    rst,
    settings,
    update,
)
from tests.unit.wire.corpus.http2_case import (
    ASKED,
    CALM,
    COMPRESSION,
    FLOW,
    HELD,
    OPEN,
    PROTOCOL,
    SIZE,
    STREAM_CLOSED,
    TOP,
    Case,
    table,
    to,
)

BLOCK = block(HELD)
#: Of a request that is answered when it is complete.
PLAIN = block(to(b"/body", POST))
BODY = headers(3, to(b"/body", POST), is_end=False)
#: A block that has begun.
BEGUN = frame(HEADERS, 0, 3, BLOCK)

FATAL = [
    *table("G-051", {"goaway": PROTOCOL}, {
        "data on stream 0": data(0, b"x"),
        "headers on stream 0": headers(0),
        "headers on an even stream": headers(2),
        "data on an idle stream": data(3, b"x"),
        "data on an even stream": data(2, b"x"),
        "a lower stream number": headers(7, HELD) + headers(5),
        "rst on an idle stream": rst(3),
        "rst on stream 0": rst(0),
        "window update on an idle stream": update(3, 1),
        "window update 0 of the connection": update(0, 0),
        "window update 0 but for the reserved bit": update(0, 1 << 31),
        "push promise": frame(PUSH_PROMISE, END_HEADERS, 3, b"\0\0\0\2" + BLOCK),
        "ping on a stream": frame(PING, 0, 3, b"12345678"),
        "goaway on a stream": frame(GOAWAY, 0, 3, bytes(8)),
        "priority on stream 0": frame(PRIORITY, 0, 0, bytes(5)),
        "priority on itself on an idle stream": frame(PRIORITY, 0, 3, b"\0\0\0\3\xff"),
        "priority update on a stream": frame(PRIORITY_UPDATE, 0, 3, b"\0\0\0\3u=1"),
        "priority update of stream 0": frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\0u=1"),
        "continuation alone": frame(CONTINUATION, END_HEADERS, 3, BLOCK),
        "continuation on stream 0": BEGUN + frame(CONTINUATION, END_HEADERS, 0),
        "continuation after a whole block": ASKED + frame(CONTINUATION, END_HEADERS, 3),
        "continuation after a continued block": BEGUN + frame(CONTINUATION, END_HEADERS, 3) * 2,
        "continuation after data": OPEN + data(3, b"x") + frame(CONTINUATION, END_HEADERS, 3),
        "continuation after their reset": OPEN + rst(3) + frame(CONTINUATION, END_HEADERS, 3),
        "continuation of another stream": frame(HEADERS, 0, 3) + frame(CONTINUATION, END_HEADERS, 5),
        "ping within a block": BEGUN + ping(),
        "settings within a block": BEGUN + settings(),
        "priority within a block": BEGUN + frame(PRIORITY, 0, 3, bytes(5)),
        "unknown frame within a block": BEGUN + frame(0xEE, 0, 0),
        "headers within a block": BEGUN + headers(5),
        "headers within a continued block": BEGUN + frame(CONTINUATION, 0, 3) + headers(5),
        "data within a block": OPEN + frame(HEADERS, 0, 5, BLOCK) + data(3, b"x"),
        "data with more padding than payload": OPEN + frame(DATA, PADDED, 3, b"\x05abcd"),
        "headers with more padding than payload": frame(HEADERS, PADDED | END_HEADERS, 3, b"\x05abcd"),
    }),
    *table("G-051", {"goaway": SIZE}, {
        "rst of 3 bytes": ASKED + frame(RST_STREAM, 0, 3, b"\0\0\0"),
        "rst of 5 bytes": ASKED + frame(RST_STREAM, 0, 3, b"\0\0\0\0\0"),
        "window update of 3 bytes": frame(WINDOW_UPDATE, 0, 0, b"\0\0\1"),
        "window update of 5 bytes": frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\0\1"),
        "ping of 7 bytes": ping(b"1234567"),
        "ping of 9 bytes": ping(b"123456789"),
        "goaway of 7 bytes": frame(GOAWAY, 0, 0, bytes(7)),
        "priority of 4 bytes on an idle stream": frame(PRIORITY, 0, 3, bytes(4)),
        "priority update of 3 bytes": frame(PRIORITY_UPDATE, 0, 0, b"\0\0\1"),
        "a frame of 16,385 bytes": OPEN + data(3, bytes(16385)),
        "headers of 16,385 bytes": headers(3, [*HELD, (b"x", bytes(16385))]),
        "an unknown frame of 16,385 bytes": frame(0xEE, 0, 0, bytes(16385)),
        "padded data of no bytes": OPEN + frame(DATA, PADDED, 3),
        "padded headers of no bytes": frame(HEADERS, PADDED | END_HEADERS, 3),
        "headers too short for a priority": frame(HEADERS, HAS_PRIORITY | END_HEADERS, 3, b"\0\0\0\0"),
    }),
    *table("G-051", {"goaway": FLOW}, {"window update beyond 2^31-1": update(0, TOP)}),
    *table("G-046", {"goaway": PROTOCOL}, {
        "settings on a stream": settings(stream=3),
        "enable push 2": settings((2, 2)),
        "frame size 1": settings((5, 1)),
        "frame size 2^24": settings((5, 1 << 24)),
        "no priorities 2": settings((9, 2)),
    }),
    *table("G-046", {"goaway": SIZE}, {
        "settings of 5 bytes": frame(SETTINGS, 0, 0, bytes(5)),
        "acknowledgement with a payload": frame(SETTINGS, ACK, 0, bytes(6)),
    }),
    *table("G-046", {"goaway": FLOW}, {
        "initial window of 2^31": settings((4, 1 << 31)),
        "initial window that overflows a stream": OPEN + update(3, TOP - 65535) + settings((4, 65536)),
    }),
    *table("G-046", {"goaway": CALM}, {
        "33 settings in a frame": settings(*[(6, 1)] * 33),
        "2,400 settings in a frame": settings(*[(6, 1)] * 2400),
    }),
    *table("G-044", {"goaway": COMPRESSION}, {
        "a block for a dead stream that cannot be decoded": OPEN + rst(3) + frame(HEADERS, END_HEADERS, 3, b"\x80"),
        "trailers that cannot be decoded": OPEN + frame(HEADERS, END_HEADERS | END_STREAM, 3, b"\x80"),
    }),
]  # fmt: skip

#: In place of the client's preface.
FIRST = [
    Case("G-051", name, data, goaway=PROTOCOL, is_first=True)
    for name, data in {
        "a preface with a wrong end": PREFACE[:-1] + b"x" + settings(),
        "ping before settings": PREFACE + ping(),
        "headers before settings": PREFACE + headers(3),
        "an acknowledgement before settings": PREFACE + settings(flags=ACK),
        "an unknown frame before settings": PREFACE + frame(0xEE, 0, 0),
    }.items()
]

CUT = ("Opened 3", "Reset 3")
STREAM = [
    *(
        Case("G-051", name, data, reset=code, events=CUT)
        for name, data, code in (
            ("data after the end", ASKED + data(3, b"x"), STREAM_CLOSED),
            ("headers after the end", ASKED + headers(3), STREAM_CLOSED),
            ("data after their reset", OPEN + rst(3) + data(3, b"x"), STREAM_CLOSED),
            ("headers after their reset", OPEN + rst(3) + headers(3), STREAM_CLOSED),
            ("window update 0 of a stream", OPEN + update(3, 0), PROTOCOL),
            ("window of a stream beyond 2^31-1", OPEN + update(3, TOP), FLOW),
            ("priority of 4 bytes", OPEN + frame(PRIORITY, 0, 3, bytes(4)), SIZE),
            ("priority on itself", OPEN + frame(PRIORITY, 0, 3, b"\0\0\0\3\xff"), PROTOCOL),
            ("trailers without an end", OPEN + headers(3, [(b"a", b"b")], is_end=False), PROTOCOL),
        )
    ),
    Case(
        "G-051", "headers that depend on themselves",
        frame(HEADERS, HAS_PRIORITY | END_HEADERS | END_STREAM, 3, b"\0\0\0\3\xff" + BLOCK),
        reset=PROTOCOL, events=("Refused 3",),
    ),
    Case(
        "G-051", "more data than the stream's window", OPEN + data(3, bytes(16384)) * 16 + data(3, b"x"),
        reset=FLOW, events=("Opened 3", *["Body 3"] * 16, "Reset 3"),
    ),
    Case("G-052", "trailers with a pseudo-field", OPEN + headers(3, [(b":path", b"/")]), reset=PROTOCOL, events=CUT),
    Case(
        "G-053", "trailers with a content-length", OPEN + headers(3, [(b"content-length", b"0")]),
        reset=PROTOCOL, events=CUT,
    ),
]  # fmt: skip

#: For the stream of a request that was answered: the connection ends.
BEHIND = [
    Case("G-051", name, data, goaway=STREAM_CLOSED, is_behind=True)
    for name, data in {
        "data for a stream that both sides have ended": data(1, b"x"),
        "headers for a stream that both sides have ended": headers(1),
    }.items()
]

#: Odd, and legal.
HARMLESS = [
    *table("G-051", {}, {
        "unknown frame": frame(0xEE, 0xFF, 9, b"abc"),
        "reserved bit": frame(PING, 0, 1 << 31, b"12345678"),
        "unknown flags": frame(PING, 0xFE, 0, b"12345678"),
        "priority on an idle stream": frame(PRIORITY, 0, 9, b"\0\0\0\5\xff"),
        "priority of a closed stream": OPEN + rst(3) + frame(PRIORITY, 0, 3, b"\0\0\0\5\xff"),
        "window update on a closed stream": OPEN + rst(3) + update(3, 5),
        "a second reset": OPEN + rst(3) + rst(3),
        "reset with an unknown code": OPEN + rst(3, 0xFFFF),
        "goaway": goaway(),
        "goaway with an unknown code and words": frame(GOAWAY, 0, 0, bytes(4) + b"\0\0\xff\xff" + b"farewell"),
        "a pong that nobody asked for": ping(flags=ACK),
        "priority update": OPEN + frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\3u=0, i"),
        "priority update of nonsense": OPEN + frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\3\xff\x00u=99,,"),
        "a window of exactly 2^31-1": update(0, TOP - 65535),
    }),
    *table("G-046", {}, {
        "unknown setting": settings((0xABCD, 5)),
        "32 settings in a frame": settings(*[(6, 1)] * 32),
        "an acknowledgement too many": settings(flags=ACK) * 2,
        "no table of ours, and the largest": settings((1, 0), (1, 2**32 - 1)),
    }),
]  # fmt: skip

#: What may look odd, and is a request like others: each is answered.
SERVED = [
    Case("G-051", name, data, status=200)
    for name, data in {
        "a block in pieces": frame(HEADERS, END_STREAM, 3, PLAIN[:5])
        + frame(CONTINUATION, 0, 3) + frame(CONTINUATION, END_HEADERS, 3, PLAIN[5:]),
        "padded headers with a priority": frame(
            HEADERS, PADDED | HAS_PRIORITY | END_HEADERS | END_STREAM, 3, b"\7\0\0\0\1\xff" + PLAIN + bytes(7)
        ),
        "data of 16,384 bytes": BODY + data(3, bytes(16384), True),
        "data that is padded, and empty data": BODY + data(3, b"a", padding=255) + data(3, b"", padding=0)
        + data(3, b"") + data(3, b"b", True, 1),
        "trailers": BODY + data(3, b"abc") + headers(3, [(b"x-sum", b"1")]),
        "unknown frames in between": BODY + frame(0xEE, 9, 3, b"?") + data(3, b"", True),
    }.items()
]  # fmt: skip

CASES = [*FATAL, *FIRST, *STREAM, *BEHIND, *HARMLESS, *SERVED]
