"""HPACK by its RFC: the examples of RFC 7541 appendix C, every representation, and what the encoder chooses."""

from __future__ import annotations

import pytest

from torana.wire.http2.hpack import Decoder, Encoder
from torana.wire.http2.hpack_table import STATIC
from torana.wire.http2.huffman import from_huffman, huffman_size, to_huffman

Fields = list[tuple[bytes, bytes]]

MOST = 65536
DATE_1 = b"Mon, 21 Oct 2013 20:13:21 GMT"
DATE_2 = b"Mon, 21 Oct 2013 20:13:22 GMT"
COOKIE = b"foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"


def pairs(text: str) -> Fields:
    """``name=value`` lines as fields."""
    return [(name.encode(), value.encode()) for name, _, value in (line.partition("=") for line in text.split())]


REQUESTS = (
    pairs(":method=GET :scheme=http :path=/ :authority=www.example.com"),
    pairs(":method=GET :scheme=http :path=/ :authority=www.example.com cache-control=no-cache"),
    pairs(":method=GET :scheme=https :path=/index.html :authority=www.example.com custom-key=custom-value"),
)

RESPONSES: tuple[Fields, ...] = (
    [
        (b":status", b"302"),
        (b"cache-control", b"private"),
        (b"date", DATE_1),
        (b"location", b"https://www.example.com"),
    ],
    [
        (b":status", b"307"),
        (b"cache-control", b"private"),
        (b"date", DATE_1),
        (b"location", b"https://www.example.com"),
    ],
    [
        (b":status", b"200"),
        (b"cache-control", b"private"),
        (b"date", DATE_2),
        (b"location", b"https://www.example.com"),
        (b"content-encoding", b"gzip"),
        (b"set-cookie", COOKIE),
    ],
)

# Appendix, table size, blocks in hexadecimal, their fields, size of the table after each.
SERIES = (
    (
        "C.3",
        4096,
        (
            "828684410f7777772e6578616d706c652e636f6d",
            "828684be58086e6f2d6361636865",
            "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
        ),
        REQUESTS,
        (57, 110, 164),
    ),
    (
        "C.4",
        4096,
        (
            "828684418cf1e3c2e5f23a6ba0ab90f4ff",
            "828684be5886a8eb10649cbf",
            "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
        ),
        REQUESTS,
        (57, 110, 164),
    ),
    (
        "C.5",
        256,
        (
            "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54"
            "6e1768747470733a2f2f7777772e6578616d706c652e636f6d",
            "4803333037c1c0bf",
            "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d"
            "4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31",
        ),
        RESPONSES,
        (222, 222, 215),
    ),
    (
        "C.6",
        256,
        (
            "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
            "4883640effc1c0bf",
            "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af"
            "27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
        ),
        RESPONSES,
        (222, 222, 215),
    ),
)


@pytest.mark.parametrize(
    ("table_bytes", "blocks", "sections", "sizes"), [pytest.param(*row[1:], id=row[0]) for row in SERIES]
)
def test_series_of_the_rfc(
    table_bytes: int, blocks: tuple[str, ...], sections: tuple[Fields, ...], sizes: tuple[int, ...]
) -> None:
    decoder = Decoder(table_bytes)
    for block, fields, size in zip(blocks, sections, sizes, strict=True):
        assert decoder.decode(bytes.fromhex(block), MOST, 128) == fields
        assert decoder.table.size == size


@pytest.mark.parametrize(
    ("block", "field", "count"),
    [
        ("400a637573746f6d2d6b65790d637573746f6d2d686561646572", (b"custom-key", b"custom-header"), 1),  # C.2.1
        ("040c2f73616d706c652f70617468", (b":path", b"/sample/path"), 0),  # C.2.2
        ("100870617373776f726406736563726574", (b"password", b"secret"), 0),  # C.2.3
        ("82", (b":method", b"GET"), 0),  # C.2.4
        ("0f2303746f6b", (b"range", b"tok"), 0),
        ("1f2303746f6b", (b"range", b"tok"), 0),
        ("0001410142", (b"A", b"B"), 0),  # What a name may hold is not HPACK's to judge.
        ("5800", (b"cache-control", b""), 1),
    ],
)
def test_representations(block: str, field: tuple[bytes, bytes], count: int) -> None:
    decoder = Decoder()
    assert decoder.decode(bytes.fromhex(block), MOST, 128) == [field]
    assert decoder.table.count == count


def test_every_static_entry_comes_out_as_the_same_object() -> None:
    decoder = Decoder()
    for index in range(1, 62):
        (field,) = decoder.decode(bytes([0x80 | index]), MOST, 128)
        assert field is STATIC[index]
    assert STATIC[1] == (b":authority", b"") and STATIC[61] == (b"www-authenticate", b"") and len(STATIC) == 62


def test_long_integers() -> None:
    """C.1.2 in a string's length, and an index that needs three bytes."""
    value = b"v" * 1337
    assert Decoder().decode(b"\x0f\x14\x7f\xba\x09" + value, MOST, 128) == [(b"expect", value)]
    decoder = Decoder(16384)
    decoder.decode(b"".join(b"\x40\x01a\x02%02x" % number for number in range(256)), MOST, 256)
    assert decoder.decode(b"\xff\xbe\x01", MOST, 128) == [(b"a", b"00")]  # 127 + 190 = 62 + 255
    assert decoder.decode(b"\xbe", MOST, 128) == [(b"a", b"ff")]


def test_empty_block_has_no_fields() -> None:
    assert Decoder().decode(b"", MOST, 128) == []


def test_eviction_is_by_size_and_oldest_first() -> None:
    decoder = Decoder(100)  # Room for two entries of 34 bytes.
    for value in b"123":
        decoder.decode(b"\x40\x01a\x01" + bytes([value]), MOST, 128)
    assert (decoder.table.count, decoder.table.size) == (2, 68)
    assert decoder.decode(b"\xbe\xbf", MOST, 128) == [(b"a", b"3"), (b"a", b"2")]


def test_an_entry_larger_than_the_table_empties_it_and_is_no_error() -> None:
    decoder = Decoder(100)
    decoder.decode(b"\x40\x01a\x011", MOST, 128)
    assert decoder.decode(b"\x40\x01a\x64" + b"v" * 100, MOST, 128) == [(b"a", b"v" * 100)]
    assert (decoder.table.count, decoder.table.size) == (0, 0)


def test_a_name_from_an_entry_that_its_own_field_pushes_out() -> None:
    """RFC 7541 section 4.4."""
    decoder = Decoder(64)
    decoder.decode(b"\x40\x04name\x03old", MOST, 128)
    assert decoder.decode(b"\x7e\x03new", MOST, 128) == [(b"name", b"new")]
    assert decoder.decode(b"\xbe", MOST, 128) == [(b"name", b"new")]
    assert decoder.table.count == 1


def test_size_updates_at_the_start() -> None:
    decoder = Decoder()
    decoder.decode(b"\x40\x01a\x011", MOST, 128)
    assert decoder.decode(b"\x20\x3f\xe1\x1f\x82", MOST, 128) == [(b":method", b"GET")]  # 0, then 4096
    assert (decoder.table.count, decoder.table.most) == (0, 4096)


def test_changes_tell_when_a_block_may_mean_something_else() -> None:
    decoder = Decoder()
    decoder.decode(b"\x82\x04\x01/", MOST, 128)
    assert decoder.changes == 0
    decoder.decode(b"\x40\x01a\x011", MOST, 128)
    once = decoder.changes
    assert once > 0
    decoder.decode(b"\xbe", MOST, 128)
    assert decoder.changes == once
    decoder.decode(b"\x20", MOST, 128)
    assert decoder.changes > once


# Huffman


@pytest.mark.parametrize(
    ("text", "coded"),
    [
        (b"", ""),
        (b"www.example.com", "f1e3c2e5f23a6ba0ab90f4ff"),
        (b"no-cache", "a8eb10649cbf"),
        (b"302", "6402"),
        (b"a", "1f"),
        (b"\x00", "ffc7"),
        (b"\x16", "fffffffb"),
    ],
)
def test_huffman(text: bytes, coded: str) -> None:
    assert to_huffman(text).hex() == coded
    assert huffman_size(text) == len(coded) // 2
    data = b"<" + bytes.fromhex(coded) + b">"
    assert from_huffman(data, 1, len(data) - 1) == text


def test_huffman_of_every_byte() -> None:
    every = bytes(range(256)) * 3
    for shift in range(8):
        text = b"0" * shift + every  # Five bits each: every code at every place of a byte.
        coded = to_huffman(text)
        assert len(coded) == huffman_size(text)
        assert from_huffman(coded, 0, len(coded)) == text


# What the encoder chooses


def test_a_response_head() -> None:
    encoder = Encoder()
    fields = [(b"content-type", b"text/plain"), (b"content-length", b"13"), (b"server", b"torana")]
    first = encoder.encode_head(200, fields)
    assert encoder.encode_head(200, fields).hex() == "88bf0f0d023133be"
    assert Decoder().decode(first, MOST, 128) == [(b":status", b"200"), *fields]


@pytest.mark.parametrize("status", [100, 200, 204, 206, 304, 400, 404, 418, 500, 599, 999])
def test_status(status: int) -> None:
    encoder = Encoder()
    for _ in range(2):
        assert Decoder().decode(encoder.encode_head(status, []), MOST, 128) == [(b":status", b"%d" % status)]
    assert encoder.table.count == 0


@pytest.mark.parametrize("status", [-1, 0, 99, 1000])
def test_status_that_is_none(status: int) -> None:
    with pytest.raises(ValueError, match="status"):
        Encoder().encode_head(status, [])


def test_names_of_applications_are_lowered_and_found_again() -> None:
    encoder = Encoder()
    decoder = Decoder()
    first = encoder.encode([(b"Content-Type", b"Text/HTML"), (b"X-Frame-Options", b"DENY")])
    assert decoder.decode(first, MOST, 128) == [(b"content-type", b"Text/HTML"), (b"x-frame-options", b"DENY")]
    assert encoder.encode([(b"CONTENT-TYPE", b"Text/HTML"), (b"x-frame-options", b"DENY")]).hex() == "bfbe"


@pytest.mark.parametrize("name", [b"Set-Cookie", b"authorization", b"proxy-authorization", b"cookie"])
def test_secrets_never_enter_a_table(name: bytes) -> None:
    encoder = Encoder()
    block = encoder.encode([(name, b"secret")])
    assert block[0] & 0xF0 == 0x10
    assert encoder.table.count == 0
    assert Decoder().decode(block, MOST, 128) == [(name.lower(), b"secret")]


@pytest.mark.parametrize("name", [b"content-length", b"Content-Length", b"etag", b"last-modified", b"x-request-id"])
def test_values_that_hardly_repeat_push_nothing_out(name: bytes) -> None:
    encoder = Encoder()
    block = encoder.encode([(name, b"17")])
    assert block[0] & 0xF0 == 0x00
    assert encoder.table.count == 0
    assert Decoder().decode(block, MOST, 128) == [(name.lower(), b"17")]


def test_a_large_field_is_not_indexed() -> None:
    encoder = Encoder()
    fields = [(b"content-security-policy", b"p" * 5000)]
    assert Decoder().decode(encoder.encode(fields), MOST, 128) == fields
    assert encoder.table.count == 0


@pytest.mark.parametrize(
    "field",
    [
        (b"", b"v"),
        (b"na me", b"v"),
        (b"name:", b"v"),
        (b":status", b"200"),
        (b"na\xffme", b"v"),
        (b"name", b"a\r\nb: c"),
        (b"name", b"a\nb"),
        (b"name", b"a\0b"),
        (b"content-length", b"1\r\n"),
        (b"content-length", b"\0" * 40),
    ],
)
def test_what_may_not_be_in_a_field_is_refused(field: tuple[bytes, bytes]) -> None:
    """Threat G-035: a hop behind us may speak HTTP/1. And the encoder stays in step."""
    encoder = Encoder()
    decoder = Decoder()
    with pytest.raises(ValueError):
        encoder.encode([(b"x-before", b"1"), field])
    with pytest.raises(ValueError):
        encoder.encode_head(200, [field])
    fields = [(b"x-before", b"1"), (b"x-after", b"1")]
    assert decoder.decode(encoder.encode(fields), MOST, 128) == fields
    assert len(encoder.encode(fields)) == 2


def test_pseudo_fields_only_when_asked_for() -> None:
    fields = [(b":method", b"GET"), (b":path", b"/"), (b":scheme", b"https"), (b":authority", b"example.com")]
    block = Encoder().encode(fields, has_pseudo=True)
    assert block[:3].hex() == "828487"
    assert Decoder().decode(block, MOST, 128) == fields


def test_a_block_in_two_pieces() -> None:
    encoder = Encoder()
    encoder.resize(100)
    block = encoder.encode_head(200, [(b"x-a", b"1")]) + encoder.encode([(b"x-b", b"2")])
    assert Decoder().decode(block, MOST, 128) == [(b":status", b"200"), (b"x-a", b"1"), (b"x-b", b"2")]


def test_the_smallest_size_between_two_blocks_is_said_too() -> None:
    """RFC 7541 section 4.2."""
    encoder = Encoder()
    encoder.encode([(b"x-a", b"1")])
    encoder.resize(0)
    encoder.resize(2000)
    block = encoder.encode_head(204, [])
    assert block.hex() == "20" + "3fb10f" + "89"
    assert encoder.encode_head(204, []).hex() == "89"
    encoder.resize(2000)
    assert encoder.encode_head(204, []).hex() == "89"
