"""HPACK under attack: threats G-042 to G-045."""

from __future__ import annotations

import tracemalloc

import pytest

from tests.unit.wire.corpus.http2_blocks import UNDECODABLE
from torana.wire.http2.hpack import Decoder, Encoder, HpackError, HpackTooLarge

MOST_BYTES = 65536
MOST_FIELDS = 128


def decode(block: bytes, decoder: Decoder | None = None) -> list[tuple[bytes, bytes]]:
    return (decoder or Decoder()).decode(block, MOST_BYTES, MOST_FIELDS)


#: One entry of 4,000 bytes and its index, sixteen thousand times.
BOMB = b"\x40\x01a\x7f\xa0\x1e" + b"v" * 3999 + b"\xbe" * 16_000


# G-042
def test_a_size_bomb_is_given_up_after_four_times_the_bound() -> None:
    with pytest.raises(HpackTooLarge) as caught:
        decode(BOMB)
    assert caught.value.is_fatal
    assert not caught.value.is_count


# G-042
def test_a_size_bomb_takes_less_memory_than_its_own_size() -> None:
    decoder = Decoder()
    tracemalloc.start()
    try:
        with pytest.raises(HpackTooLarge):
            decode(BOMB, decoder)
        assert tracemalloc.get_traced_memory()[1] < len(BOMB)
    finally:
        tracemalloc.stop()


# G-042
@pytest.mark.parametrize(("times", "is_fatal"), [(16, False), (62, False), (64, True)])
def test_a_section_over_the_bound_leaves_the_decoder_usable_up_to_four_times(times: int, is_fatal: bool) -> None:
    decoder = Decoder()
    # 4064 bytes an entry; the last field of the block enters the table as well.
    block = b"\x40\x01a\x7f\xe0\x1e" + b"v" * 4063 + b"\xbe" * times + b"\x40\x01b\x012"
    with pytest.raises(HpackTooLarge) as caught:
        decode(block, decoder)
    assert caught.value.is_fatal == is_fatal
    if not is_fatal:
        assert decode(b"\xbe", decoder) == [(b"b", b"2")]


def test_a_section_of_exactly_the_bounds_passes() -> None:
    fields = decode(b"\x82" * MOST_FIELDS)
    assert len(fields) == MOST_FIELDS
    block = b"\x00\x01a\x7f\xa0\x1e" + b"v" * 3999
    assert len(Decoder().decode(block, 4032, 1)) == 1
    with pytest.raises(HpackTooLarge) as caught:
        Decoder().decode(block, 4031, 1)
    assert not caught.value.is_count


# G-043
def test_empty_cookie_crumbs_are_counted() -> None:
    with pytest.raises(HpackTooLarge) as caught:
        decode(b"\x60\x00" + b"\xbe" * 32_000)
    assert caught.value.is_count
    assert caught.value.is_fatal
    decoder = Decoder()
    with pytest.raises(HpackTooLarge) as caught:
        decode(b"\x60\x00" + b"\xbe" * 128, decoder)
    assert caught.value.is_count
    assert not caught.value.is_fatal
    assert decode(b"\xbe", decoder) == [(b"cookie", b"")]


# G-044
@pytest.mark.parametrize(("block", "reason"), UNDECODABLE)
def test_what_cannot_be_decoded_ends_the_connection(block: str, reason: str) -> None:
    with pytest.raises(HpackError) as caught:
        decode(bytes.fromhex(block))
    assert caught.value.reason == reason
    with pytest.raises(HpackError) as caught:
        decode(b"\x82\x86" + bytes.fromhex(block) if block[0] not in "23" else bytes.fromhex(block))
    assert caught.value.reason == reason


# G-044
def test_a_block_that_ends_anywhere_in_a_field_is_refused() -> None:
    block = b"\x40\x85" + bytes.fromhex("25a849e95b") + b"\x7f\x00" + b"v" * 127
    assert len(decode(block)) == 1
    for end in range(1, len(block)):
        with pytest.raises(HpackError):
            decode(block[:end])


# G-045
def test_a_section_over_the_bound_still_changes_the_table() -> None:
    decoder = Decoder()
    encoder = Encoder()
    fields = [(b"x-%d" % number, b"1") for number in range(MOST_FIELDS + 1)]
    with pytest.raises(HpackTooLarge):
        decode(encoder.encode(fields), decoder)
    assert decode(encoder.encode(fields[:100]), decoder) == fields[:100]


# G-045
@pytest.mark.parametrize("table_bytes", [4096, 65536, 2**32 - 1])
def test_our_encoder_never_uses_more_than_4096_bytes(table_bytes: int) -> None:
    encoder = Encoder()
    encoder.resize(table_bytes)
    decoder = Decoder()
    for number in range(500):
        fields = [(b"x-name", b"value %d" % number)]
        assert decode(encoder.encode(fields), decoder) == fields
        assert encoder.table.size <= 4096
    assert encoder.table.count == decoder.table.count < 128


# G-045
def test_our_encoder_without_a_table() -> None:
    encoder = Encoder()
    fields = [(b"x-name", b"value"), (b"content-type", b"text/plain")]
    encoder.encode(fields)
    encoder.resize(0)
    decoder = Decoder(0)
    for _ in range(2):
        assert decode(encoder.encode(fields), decoder) == fields
    assert encoder.table.count == decoder.table.count == 0
