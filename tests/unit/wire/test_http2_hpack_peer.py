"""HPACK against another implementation (the test-only ``hpack`` package), and against itself, on generated input.

A stateful model test for threat G-045: one side's table must always be the other's.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torana.wire.http2.hpack import Decoder, Encoder, HpackError, HpackTooLarge
from torana.wire.http2.huffman import from_huffman, to_huffman

peer = pytest.importorskip("hpack")

Fields = list[tuple[bytes, bytes]]
MOST = 1 << 20

_TOKEN = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.!#$%&'*+^`|~"
_KNOWN = [b"content-type", b"Server", b"set-cookie", b"content-length", b"vary", b"x-a", b"x-b", b"date", b"etag"]

names = st.sampled_from(_KNOWN) | st.lists(st.sampled_from(_TOKEN), min_size=1, max_size=40).map(bytes)
values = st.sampled_from([b"", b"1", b"text/plain", b"v" * 1500, b"v" * 5000]) | st.binary(max_size=80).map(
    lambda text: bytes(byte for byte in text if byte >= 0x20 and byte != 0x7F)
)
sections = st.lists(st.tuples(names, values), max_size=12)
resizes = st.none() | st.lists(st.sampled_from([0, 33, 64, 300, 4096, 65536]), min_size=1, max_size=3)


def lowered(fields: Fields) -> Fields:
    return [(name.lower(), value) for name, value in fields]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(resizes, sections), min_size=1, max_size=12))
def test_our_blocks_are_read_back_by_both(blocks: list[tuple[list[int] | None, Fields]]) -> None:
    encoder, ours, theirs = Encoder(), Decoder(), peer.Decoder()
    for sizes, fields in blocks:
        for size in sizes or ():
            encoder.resize(size)
        block = encoder.encode(fields)
        assert ours.decode(block, MOST, 1000) == lowered(fields)
        assert theirs.decode(block, raw=True) == lowered(fields)
        assert encoder.table.size == ours.table.size == theirs.header_table._current_size


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(resizes, sections, st.booleans()), min_size=1, max_size=12))
def test_their_blocks_are_read(blocks: list[tuple[list[int] | None, Fields, bool]]) -> None:
    encoder, decoder = peer.Encoder(), Decoder()
    for sizes, fields, is_coded in blocks:
        # One new size a block: the peer forgets to say the first of two that are the same.
        if sizes and min(sizes[0], 4096) != encoder.header_table_size:
            encoder.header_table_size = min(sizes[0], 4096)
        block = encoder.encode(lowered(fields), huffman=is_coded)
        assert decoder.decode(block, MOST, 1000) == lowered(fields)
        assert decoder.table.size == encoder.header_table._current_size


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_huffman_round_trip(text: bytes) -> None:
    coded = to_huffman(text)
    assert from_huffman(coded, 0, len(coded)) == text
    assert coded == peer.huffman.HuffmanEncoder(
        peer.huffman_constants.REQUEST_CODES, peer.huffman_constants.REQUEST_CODES_LENGTH
    ).encode(text)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=12), st.integers(0, 4))
def test_huffman_verdicts_agree(data: bytes, ones: int) -> None:
    data += b"\xff" * ones
    try:
        theirs = peer.huffman_table.decode_huffman(data)
    except peer.HPACKDecodingError:
        theirs = None
    assert from_huffman(data, 0, len(data)) == theirs


def _noise(chance: random.Random, encoder: object) -> bytes:
    """A block that is often nearly right: pieces of good ones, cut, joined, and with bytes changed."""
    fields = [(chance.choice(_KNOWN).lower(), chance.choice([b"", b"1", b"text/html"])) for _ in range(3)]
    block = bytearray(encoder.encode(fields, huffman=chance.random() < 0.5))  # type: ignore[attr-defined]
    for _ in range(chance.randrange(4)):
        match chance.randrange(4):
            case 0:
                block[chance.randrange(len(block) + 1) :] = b""
            case 1:
                block.insert(chance.randrange(len(block) + 1), chance.choice(b"\x00\x0f\x20\x3f\x40\x7f\x80\xbe\xff"))
            case 2 if block:
                block[chance.randrange(len(block))] = chance.randrange(256)
            case _:
                block += chance.randbytes(chance.randrange(6))
    return bytes(block)


#: What we refuse and the peer takes: stricter on purpose (threat G-044).
STRICTER = {"empty-name", "size-update", "integer"}


def test_verdicts_on_damaged_blocks_agree() -> None:
    chance = random.Random(7541)
    accepted = refused = 0
    for _ in range(1500):
        ours, theirs, encoder = Decoder(), peer.Decoder(), peer.Encoder()
        for _ in range(8):
            block = _noise(chance, encoder)
            expected: Fields | None
            try:
                expected = [(bytes(name), bytes(value)) for name, value in theirs.decode(block, raw=True)]
            except peer.HPACKError:
                expected = None
            try:
                found = ours.decode(block, MOST, 100_000)
            except HpackError as error:
                assert expected is None or error.reason in STRICTER
                refused += 1
                break
            except HpackTooLarge:
                raise AssertionError("no block is that large") from None
            assert found == expected
            accepted += 1
    assert accepted > 500 and refused > 500
