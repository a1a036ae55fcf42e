"""Compressed messages both ways, in every measure that can be agreed on (RFC 7692 sections 6 and 7.2)."""

from __future__ import annotations

import itertools
import random
import zlib

import pytest

from tests.unit.wire.corpus.websocket_frames import BAD_COMPRESSED, GOOD_COMPRESSED, MOST, Compressor, packed
from tests.unit.wire.http1_driver import cuts, single_bytes
from tests.unit.wire.websocket_driver import (
    BINARY,
    COMPRESSED,
    TEXT,
    drive,
    frame,
    server_frames,
)
from torana.wire.events import NEED_DATA
from torana.wire.websocket.connection import PONG, WebSocketConnection
from torana.wire.websocket.deflate import LEAST_BYTES, MOST_BYTES
from torana.wire.websocket.extensions import Deflate
from torana.wire.websocket.limits import Limits

TAIL = b"\x00\x00\xff\xff"
MEASURES = [
    Deflate(our, their, ours, theirs)
    for our, their, ours, theirs in itertools.product((9, 12), (9, 12, 15), (True, False), (True, False))
]


# Far repeats: they need the whole of any window, and break with a smaller one.
PAYLOADS = [b"", b"Hello", bytes(range(256)) * 20, "ré 日本 🎉 ".encode() * 700, b"0" * 70_000, b"ab" * 600]


@pytest.mark.parametrize("measure", MEASURES, ids=str)
def test_what_a_client_compresses(measure: Deflate) -> None:
    compress = Compressor(measure.their_bits, measure.has_their_takeover)
    connection = WebSocketConnection(Limits(), measure)
    for payload in PAYLOADS * 2:
        data = frame(BINARY, compress(payload), bits=COMPRESSED)
        assert drive([data], connection=connection).events == [payload]
        # In between, uncompressed ones are allowed, and change nothing (section 6).
        assert drive([frame(TEXT, b"plain")], connection=connection).events == ["plain"]


@pytest.mark.parametrize("measure", MEASURES, ids=str)
def test_what_we_compress(measure: Deflate) -> None:
    connection = WebSocketConnection(Limits(), measure)
    stream = zlib.decompressobj(-measure.our_bits)
    for payload in PAYLOADS * 2:
        for head, data in (connection.parts(payload), (connection.binary(payload), b"")):
            ((first, sent),) = server_frames(head + data)
            if first & COMPRESSED:
                if not measure.has_our_takeover:
                    stream = zlib.decompressobj(-measure.our_bits)
                sent = stream.decompress(sent + TAIL)
            else:
                # Without context, what would grow is sent as it is: a window of 2^9 finds no repeats 256 bytes away.
                assert len(payload) < LEAST_BYTES or (measure.our_bits == 9 and not measure.has_our_takeover)
            assert sent == payload


def test_repeats_use_the_context_only_where_it_is_kept() -> None:
    payload = bytes((at * 37 + (at >> 3) * 11) & 0xFF for at in range(2000))
    for has_takeover in (True, False):
        connection = WebSocketConnection(Limits(), Deflate(12, 12, has_takeover, True))
        sizes = [len(connection.binary(payload)) for _ in range(2)]
        assert (sizes[1] < sizes[0] // 4) is has_takeover


def test_what_is_not_worth_it_is_sent_as_it_is() -> None:
    kept, dropped = Deflate(), Deflate(has_our_takeover=False)
    noise = random.Random(1).randbytes(8000)
    for measure, data, is_compressed in (
        (kept, b"x" * (LEAST_BYTES - 1), False),
        (kept, b"x" * LEAST_BYTES, True),
        (kept, b"x" * MOST_BYTES, True),
        (kept, b"x" * (MOST_BYTES + 1), False),
        (dropped, noise, False),
        (None, b"x" * LEAST_BYTES, False),
    ):
        ((first, _),) = server_frames(WebSocketConnection(Limits(), measure).binary(data))
        assert bool(first & COMPRESSED) is is_compressed, len(data)
    ((first, sent),) = server_frames(WebSocketConnection(Limits(), kept).text("é" * LEAST_BYTES))
    assert first == 0xC1
    assert zlib.decompressobj(-15).decompress(sent + TAIL).decode() == "é" * LEAST_BYTES


SMALL = Limits(message_bytes=MOST)


@pytest.mark.parametrize(("data", "events"), GOOD_COMPRESSED.values(), ids=GOOD_COMPRESSED)
def test_good_ones_however_they_are_cut(data: bytes, events: list[object]) -> None:
    for pieces in itertools.chain([[data], single_bytes(data)], cuts(data)):
        outcome = drive(pieces, SMALL, Deflate())
        assert [event for event in outcome.events if event is not PONG] == events
        assert outcome.closed is None
        assert outcome.mark is NEED_DATA


@pytest.mark.parametrize(("data", "code"), BAD_COMPRESSED.values(), ids=BAD_COMPRESSED)
def test_bad_ones_however_they_are_cut(data: bytes, code: int) -> None:
    whole = drive([data], SMALL, Deflate())
    assert whole.closed is not None
    assert (whole.closed[0], whole.closed[2]) == (code, True)
    for pieces in itertools.chain([single_bytes(data)], cuts(data)):
        outcome = drive(pieces, SMALL, Deflate())
        assert outcome.events == whole.events
        assert outcome.closed == whole.closed
        assert outcome.output == whole.output


def test_without_takeover_a_client_may_not_look_back() -> None:
    compress = Compressor(12)
    payload = bytes((at * 37 + (at >> 3) * 11) & 0xFF for at in range(2000))
    frames = [frame(BINARY, compress(payload), bits=COMPRESSED) for _ in range(2)]
    assert drive(frames, Limits(), Deflate(their_bits=12)).events == [payload, payload]
    outcome = drive(frames, Limits(), Deflate(their_bits=12, has_their_takeover=False))
    assert outcome.events == [payload]
    assert outcome.closed is not None
    assert outcome.closed[:2] == (1007, "bad-deflate")


def test_bad_utf8_fails_before_the_message_ends() -> None:
    data = frame(TEXT, packed(b"\xff" + bytes(range(1, 128)) * 20), bits=COMPRESSED, fin=False)
    outcome = drive([data[:-1]], Limits(), Deflate())
    assert outcome.closed is not None
    assert outcome.closed[:2] == (1007, "bad-utf-8")
