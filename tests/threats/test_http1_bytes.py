"""Single bytes on real sockets: controls in every place, each half of a line end, and what is kept as it is.

All 256 values in all places are the parser's own tests (``tests/unit/wire/test_http1_bytes.py``).
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.threats.stage import Stage
from tests.threats.wire import VALID, deliver_each
from tests.unit.wire.corpus.case import CANARY, chunked

CONTROLS = [bytes([value]) for value in (*range(0x20), 0x7F)]
#: Where each control byte is put.
PLACES: dict[str, Callable[[bytes], bytes]] = {
    "method": lambda byte: b"G" + byte + b"ET / HTTP/1.1\r\nHost: t\r\n\r\n",
    "target": lambda byte: b"GET /" + byte + b"x HTTP/1.1\r\nHost: t\r\n\r\n",
    "version": lambda byte: b"GET / HTTP/1" + byte + b".1\r\nHost: t\r\n\r\n",
    "name": lambda byte: b"GET / HTTP/1.1\r\nHost: t\r\nX" + byte + b"Y: z\r\n\r\n",
    "value": lambda byte: b"GET / HTTP/1.1\r\nHost: t\r\nX: y" + byte + b"z\r\n\r\n",
    "chunk extension": lambda byte: chunked(b"5;a=" + byte + b"b\r\nhello\r\n0\r\n\r\n"),
    "trailer": lambda byte: chunked(b"5\r\nhello\r\n0\r\nX: y" + byte + b"z\r\n\r\n"),
}
TAB_ALLOWED = ("value", "trailer", "chunk extension")
LINE_ENDS = [
    b"GET / HTTP/1.1%c%cHost: t\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: t%c%c\r\n",
    b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5%c%chello\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5;a%c%chello\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello%c%c0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0%c%c\r\n",
    b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n%c%c",
]


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(
            place,
            marks=pytest.mark.threat(
                "G-022",
                sent=f"each of 33 control bytes in the {place}, between valid requests",
                verdict="400, then the end" + ("; a tab is allowed" if place in TAB_ALLOWED[:2] else ""),
            ),
        )
        for place in PLACES
    ],
)
def test_control_byte(place: str, stage: Stage) -> None:
    refused = [byte for byte in CONTROLS if not (byte == b"\t" and place in TAB_ALLOWED)]
    stage.events()
    with stage.attacked():
        for outcome in deliver_each(stage, [VALID + PLACES[place](byte) + CANARY for byte in refused]):
            assert (outcome.statuses, outcome.end) == ([200, 400], "fin")
        if place in TAB_ALLOWED[:2]:
            [outcome] = deliver_each(stage, [VALID + PLACES[place](b"\t")])
            assert outcome.statuses == [200, 200]
    assert "/canary" not in [call["path"] for call in stage.calls()]


@pytest.mark.threat("G-008", sent="all bytes but those of names within Content-Length", verdict="400, then the end")
def test_name_near_content_length(stage: Stage) -> None:
    tchar = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    others = [bytes([value]) for value in range(256) if value not in tchar + b":"]
    places = [b"Content-Length"[:at] + byte + b"Content-Length"[at:] for byte in others for at in (0, 7, 14)]
    stage.events()
    with stage.attacked():
        inputs = [b"POST / HTTP/1.1\r\nHost: t\r\n" + name + b": 33\r\n\r\n" + CANARY for name in places]
        for outcome in deliver_each(stage, inputs):
            assert (outcome.statuses, outcome.end) == ([400], "fin")
    assert stage.calls() == []


@pytest.mark.parametrize("template", LINE_ENDS, ids=["start", "field", "size", "extension", "data", "last", "end"])
@pytest.mark.threat("G-013", sent="CR or LF of each line end replaced by 12 other bytes", verdict="400, then the end")
@pytest.mark.threat("G-015", sent="CR or LF behind the data replaced by 12 other bytes", verdict="400, then the end")
def test_half_of_a_line_end(template: bytes, stage: Stage) -> None:
    others = [0x00, 0x09, 0x0A, 0x0B, 0x0D, 0x20, 0x30, 0x3B, 0x58, 0x7F, 0x85, 0xFF]
    pairs = {*((value, 0x0A) for value in others), *((0x0D, value) for value in others)} - {(0x0D, 0x0A)}
    stage.events()
    with stage.attacked():
        for outcome in deliver_each(stage, [template % pair + CANARY for pair in sorted(pairs)]):
            assert outcome.statuses in ([400], [505]) and outcome.end == "fin"
    assert "/canary" not in [call["path"] for call in stage.calls()]


@pytest.mark.threat(
    "G-023", sent="values that begin, go on and end with each byte from 0x80 to 0xff", verdict="the same bytes arrive"
)
def test_bytes_above_ascii_arrive_as_they_are(stage: Stage) -> None:
    values = [
        value
        for byte in [bytes([value]) for value in (*range(0x21, 0x7F), *range(0x80, 0x100))]
        for value in (byte, byte + b"ab", b"a" + byte + b"b", b"ab" + byte, b"\xe2\x80" + byte)
    ]
    stage.events()
    with stage.attacked():
        # A request takes 128 fields.
        for start in range(0, len(values), 100):
            some = values[start : start + 100]
            lines = b"".join(b"X-%d: %s\r\n" % (at, value) for at, value in enumerate(some))
            [outcome] = deliver_each(stage, [b"GET / HTTP/1.1\r\nHost: t\r\n" + lines + b"\r\n"])
            assert outcome.statuses == [200]
            [call] = stage.calls()
            if stage.site == "asgi_site":
                arrived = [value for name, value in call["headers"] if name.startswith("x-")]
            else:
                arrived = [call["environ"][f"HTTP_X_{at}"] for at in range(len(some))]
            assert arrived == [value.decode("latin-1") for value in some]


@pytest.mark.threat("G-026", sent="every escape from %00 to %ff", verdict="raw as sent, decoded once")
def test_escapes_are_decoded_once(stage: Stage) -> None:
    stage.events()
    with stage.attacked():
        pipelined = b"".join(b"GET /%%%02x%%25%02x HTTP/1.1\r\nHost: t\r\n\r\n" % (v, v) for v in range(256))
        [outcome] = deliver_each(stage, [pipelined])
        assert outcome.statuses == [200] * 256
    for value, call in enumerate(stage.calls()):
        if stage.site == "asgi_site":
            assert call["raw_path"] == f"/%{value:02x}%25{value:02x}"
        else:
            assert call["path"] == f"/{chr(value)}%{value:02x}"
