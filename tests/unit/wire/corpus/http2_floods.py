"""What a client may not do often (threats G-039 to G-041, G-046 to G-048): each is few frames, again and again."""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.http2 import (
    ACK,
    CONTINUATION,
    GET,
    HEADERS,
    PRIORITY,
    PRIORITY_UPDATE,
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
from tests.unit.wire.corpus.http2_case import HELD, OPEN


@dataclass(frozen=True)
class Flood:
    """Sent first, sent again and again, and after how many it is enough: GOAWAY(ENHANCE_YOUR_CALM)."""

    threat: str
    name: str
    first: bytes
    again: bytes
    enough: int
    #: Counted in a row; else so many at once, and more in time.
    is_in_a_row: bool = False


_BEGUN = frame(HEADERS, 0, 3, block(GET))

FLOODS = [
    Flood("G-041", "CONTINUATION of no bytes", _BEGUN, frame(CONTINUATION, 0, 3), 8, True),
    Flood("G-041", "CONTINUATION of 16,384 bytes", _BEGUN, frame(CONTINUATION, 0, 3, bytes(16384)), 8, True),
    Flood("G-046", "SETTINGS", b"", settings(), 100),
    Flood("G-046", "SETTINGS that close and open all windows", OPEN, settings(*[(4, 0), (4, 2**31 - 1)] * 16), 100),
    Flood("G-046", "acknowledgements of SETTINGS", b"", settings(flags=ACK), 1000),
    Flood("G-047", "PING", b"", ping(), 100),
    Flood("G-047", "acknowledgements of PING", b"", ping(flags=ACK), 1000),
    Flood("G-047", "WINDOW_UPDATE of 1 for the connection", b"", update(0, 1), 1000),
    Flood("G-047", "WINDOW_UPDATE of 1 for a stream", OPEN, update(3, 1), 1000),
    Flood("G-047", "PRIORITY of idle streams", b"", frame(PRIORITY, 0, 9, bytes(5)), 1000),
    Flood("G-047", "PRIORITY_UPDATE", b"", frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\x09u=1"), 1000),
    Flood("G-047", "unknown frames", b"", frame(0xEE, 0, 0, b"x"), 1000),
    Flood("G-047", "GOAWAY", OPEN, goaway(), 1000),
    Flood("G-047", "RST_STREAM for a stream that is over", OPEN, rst(3), 1001),
    Flood("G-048", "DATA for a stream that we have reset", OPEN + update(3, 0), data(3, b"x"), 1000),
    Flood("G-048", "DATA of no bytes", OPEN, data(3, b""), 100, True),
    Flood("G-048", "DATA of padding only", OPEN, data(3, b"", padding=255), 100, True),
    Flood("G-048", "DATA of one byte that nobody reads", OPEN, data(3, b"x"), 4200),
]


def _itself(number: int) -> bytes:
    return frame(PRIORITY, 0, number, number.to_bytes(4, "big") + b"\xff")


#: What ends a stream early: the client's own word (G-039), or a mistake that makes it ours (G-040).
SPOILERS = {
    "RST_STREAM": ("G-039", lambda number: rst(number)),
    "WINDOW_UPDATE of 0": ("G-040", lambda number: update(number, 0)),
    "WINDOW_UPDATE beyond 2^31-1": ("G-040", lambda number: update(number, 2**31 - 1)),
    "PRIORITY of 4 bytes": ("G-040", lambda number: frame(PRIORITY, 0, number, bytes(4))),
    "PRIORITY on itself": ("G-040", _itself),
    "DATA after the end": ("G-040", lambda number: data(number, b"x")),
    "HEADERS after the end": ("G-040", lambda number: headers(number)),
}


def spoilt(kind: str, number: int) -> bytes:
    """A whole request on stream ``number``, and its spoiler."""
    return headers(number, HELD) + SPOILERS[kind][1](number)
