"""Random conversations, whole and broken: no input raises anything but Http2Error, and cuts change nothing (G-051)."""

from __future__ import annotations

import random

import pytest

from tests.support.http2 import (
    CONTINUATION,
    END_HEADERS,
    GET,
    HEADERS,
    POST,
    WEBSOCKET,
    Wire,
    block,
    data,
    frame,
    headers,
    ping,
    rst,
    settings,
    update,
)
from torana.wire.http2.limits import Limits


def conversation(chance: random.Random) -> bytes:
    """Frames that fit together more often than not, with some bytes wrong at times."""
    parts = []
    number = 1
    for _ in range(chance.randrange(5, 40)):
        stream = chance.choice([number, number, max(1, number - 2), 1, 0, number + 2])
        kind = chance.randrange(14)
        if kind < 3:
            fields = chance.choice([GET, POST, WEBSOCKET, GET[1:], [*GET, (b"content-length", b"5")]])
            parts.append(headers(number, fields, chance.random() < 0.5))
            number += chance.choice([0, 2, 2, 2])
        elif kind < 7:
            padding = chance.choice([None, None, 0, 9])
            parts.append(data(stream, bytes(chance.choice([0, 1, 5, 300, 16000])), chance.random() < 0.3, padding))
        elif kind == 7:
            parts.append(update(stream, chance.choice([0, 1, 70000, 2**31 - 1])))
        elif kind == 8:
            parts.append(rst(stream, chance.randrange(20)))
        elif kind == 9:
            parts.append(settings((chance.randrange(10), chance.choice([0, 1, 100, 65535, 2**31]))))
        elif kind == 10:
            raw = block(GET)
            at = chance.randrange(len(raw))
            parts.append(frame(HEADERS, 1, number, raw[:at]) + frame(CONTINUATION, END_HEADERS, number, raw[at:]))
            number += 2
        elif kind == 11:
            parts.append(ping())
        elif kind == 12:
            parts.append(frame(chance.randrange(256), chance.randrange(256), stream, chance.randbytes(9)))
        else:
            parts.append(headers(max(1, number - 2), [(b"a", b"b")]))
    raw = bytearray(b"".join(parts))
    for _ in range(chance.choice([0, 0, 0, 1, 3])):
        raw[chance.randrange(len(raw))] = chance.randrange(256)
    return bytes(raw)


def outcome(pieces: list[bytes]) -> tuple[object, ...]:
    """What a connection makes of these bytes."""
    wire = Wire(Limits(streams=6))
    told: list[object] = []
    bodies: dict[int, bytes] = {}
    for event in wire.send(*pieces):
        name = type(event).__name__
        if name == "Body":
            bodies[event.stream.id] = bodies.get(event.stream.id, b"") + event.data
        elif name == "Mark":
            told.append(str(event))
        else:
            details = [getattr(event, what, None) for what in ("code", "reason", "status", "trailers")]
            told.append((name, event.stream.id, *details))
    window = wire.server.incoming
    assert window.left + window.taken + window.unannounced == window.size
    wire.server.output(1 << 20)
    for stream in wire.streams.values():
        wire.server.send_head(stream, 200, [], -1, bytes(100), True, b"", [])
        wire.server.finished(stream)
    wire.server.output(1 << 20)
    assert 0 <= wire.server.running <= 6
    error = wire.error and (wire.error.code, wire.error.reason)
    return told, None if error else bodies, error, window.left + window.unannounced


@pytest.mark.parametrize("seed", range(300))
def test_the_verdict_does_not_depend_on_the_cuts(seed: int) -> None:
    chance = random.Random(seed)
    raw = conversation(chance)
    whole = outcome([raw])
    cuts = sorted(chance.randrange(len(raw)) for _ in range(20))
    assert outcome([raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True) if a < b]) == whole
    if len(raw) < 3000:
        assert outcome([raw[i : i + 1] for i in range(len(raw))]) == whole


@pytest.mark.parametrize("seed", range(100))
def test_noise_raises_nothing_else(seed: int) -> None:
    chance = random.Random(seed)
    outcome([chance.randbytes(chance.randrange(1, 2000))])
    wire = Wire(is_begun=False)
    wire.send(chance.randbytes(30))
    assert wire.error is not None
